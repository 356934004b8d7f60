import { LambdaError } from '../lambda-runtime.ts';
import { LocalError } from '../local-error.ts';
import { ACCOUNT, REGION, type ResolvedTemplate } from '../template.ts';
import type { Authority, AwsCall } from './authority.ts';
import { readDatabaseToken } from './database-token.ts';

/** The function that an access key of the local run belongs to, as ARN. */
export function principalOf(accessKeyId: string): string | undefined {
  const name = /^LOCAL-(.+)$/.exec(accessKeyId)?.[1];
  return name === undefined ? undefined : `arn:aws:lambda:${REGION}:${ACCOUNT}:function:${name}`;
}

/** Whether this password is a token with which somebody may log in as this user of the cluster. */
export async function admitsLogin(
  authority: Authority,
  clusterResourceId: string,
  user: string,
  password: string,
): Promise<boolean> {
  const token = readDatabaseToken(password, Date.now());
  const principal = token?.user === user ? principalOf(token.accessKeyId) : undefined;
  if (principal === undefined) {
    return false;
  }
  const resource = `arn:aws:rds-db:${REGION}:${ACCOUNT}:dbuser:${clusterResourceId}/${user}`;
  return (await authority.decide(principal, { action: 'rds-db:connect', resource })).allowed;
}

/**
 * Lets a state machine run a Task only if its role may.
 *
 * @throws LambdaError as Step Functions reports it
 */
export async function checkTask(
  authority: Authority,
  machineArn: string,
  resource: string,
  payload: unknown,
): Promise<void> {
  const { StateMachineArn: started } = (payload ?? {}) as { StateMachineArn?: string };
  const [call, error]: [AwsCall, string] = resource.includes(':states:startExecution')
    ? [{ action: 'states:StartExecution', resource: started! }, 'StepFunctions.AccessDeniedException']
    : [{ action: 'lambda:InvokeFunction', resource }, 'Lambda.AWSLambdaException'];
  await check(authority, machineArn, call, error);
}

/** @throws LambdaError */
export async function check(
  authority: Authority,
  principal: string,
  call: AwsCall,
  errorName: string,
): Promise<void> {
  const decision = await authority.decide(principal, call);
  if (!decision.allowed) {
    throw new LambdaError(errorName, decision.message);
  }
}

/**
 * What a deployment and EventBridge look at beforehand: whether functions may read the queues that call them, and rules
 * start their targets.
 *
 * @throws LocalError `DeploymentError`
 */
export async function checkWiring(authority: Authority, stack: ResolvedTemplate): Promise<void> {
  const functions = stack.resources('AWS::Lambda::Function').map(({ local }) => local);
  for (const { get } of stack.resources('AWS::Lambda::EventSourceMapping')) {
    const name = get<string>('FunctionName')!;
    const fn = functions.find(({ ref, attributes }) => ref === name || attributes.Arn === name)!;
    // https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    for (const action of ['ReceiveMessage', 'DeleteMessage', 'GetQueueAttributes']) {
      await deployable(authority, fn.attributes.Arn as string, {
        action: `sqs:${action}`,
        resource: get('EventSourceArn')!,
      });
    }
  }
  for (const { get } of stack.resources('AWS::Events::Rule')) {
    for (const { Arn, RoleArn } of get<{ Arn: string; RoleArn?: string }[]>('Targets') ?? []) {
      if (RoleArn && Arn.includes(':states:')) {
        await deployable(authority, RoleArn, { action: 'states:StartExecution', resource: Arn });
      }
    }
  }
}

async function deployable(authority: Authority, principal: string, call: AwsCall): Promise<void> {
  const decision = await authority.decide(principal, call);
  if (!decision.allowed) {
    throw new LocalError('DeploymentError', decision.message);
  }
}
