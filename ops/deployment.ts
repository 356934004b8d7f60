import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { RekognitionClient } from '@aws-sdk/client-rekognition';
import { S3Client } from '@aws-sdk/client-s3';
import { SFNClient } from '@aws-sdk/client-sfn';
import { SQSClient } from '@aws-sdk/client-sqs';
import { UserError } from '../cli/user-error.ts';
import { outputPrefix } from '../lambdas/shared/contract/names.ts';
import { DEFAULT_EVENTS_FOLDER, setEventsFolder } from '../lambdas/shared/contract/photo-key.ts';
import type { RunningCloud } from '../local/running-cloud.ts';

/** The stack's outputs that the commands use. */
const OUTPUTS = [
  'PhotoBucketName',
  'ResultsBucketName',
  'StateMachineArn',
  'BackfillStateMachineArn',
  'EraseFacesStateMachineArn',
  'SkipIndexedFunctionName',
  'OperatorFunctionName',
  'SlotLedgerTableName',
  'DailyImageCap',
  'IndexFacesPerSecond',
  'ReadsIndexFacesQuota',
  'CollectionPrefix',
  'FindPersonFunctionName',
  'ErasureDeadLetterQueueUrl',
  'LastResortQueueUrl',
  'LastResortDeadLetterQueueUrl',
] as const;

export type Outputs = Record<(typeof OUTPUTS)[number], string> & Readonly<Record<string, string>>;

/** What the commands operate: the stack in an account, or a run on this machine. Nothing beyond this module knows which. */
export interface Deployment {
  /** As it reads after "in". */
  name: string;
  isLocal: boolean;
  /** Where its executions can be looked at; undefined on this machine. */
  console: ((executionArn: string) => string) | undefined;
  /** Executions that an earlier run of this machine could not finish, while nobody works at them. */
  resting: number;
  outputs: Outputs;
  s3: S3Client;
  rekognition: RekognitionClient;
  dynamodb: DynamoDBClient;
  states: SFNClient;
  lambda: LambdaClient;
  sqs: SQSClient;
  close(): void;
}

export const NO_REGION =
  'No AWS Region is set: set AWS_REGION, or AWS_PROFILE to a profile that has one; --local operates the run of this machine.';

/** Operators are patient, and their calls meet the pipeline's own in the quotas. */
const RETRY = { maxAttempts: 8, retryMode: 'adaptive' };

/**
 * The stack with this name, or `stack/construct` in an app of somebody's, in the account and Region of the user's credentials.
 *
 * @throws UserError in one line when there is none, or nobody is signed in
 */
export async function awsDeployment(name: string): Promise<Deployment> {
  const [stackName = name, construct = ''] = name.split('/');
  const prefix = outputPrefix(construct);
  const cloudformation = new CloudFormationClient(RETRY);
  let region: string;
  try {
    region = await cloudformation.config.region();
  } catch {
    throw new UserError(NO_REGION);
  }
  try {
    const { Stacks: stacks = [] } = await cloudformation.send(
      new DescribeStacksCommand({ StackName: stackName }),
    );
    const outputs = Object.fromEntries(
      (stacks[0]?.Outputs ?? [])
        .filter(({ OutputKey: key }) => key!.startsWith(prefix))
        .map(({ OutputKey: key, OutputValue }) => [key!.slice(prefix.length), OutputValue]),
    ) as Record<string, string>;
    return {
      name: `${name} (${region})`,
      isLocal: false,
      resting: 0,
      console: (arn) =>
        `https://${region}.console.aws.amazon.com/states/home?region=${region}#/v2/executions/details/${arn}`,
      ...connect({ ...RETRY, region }, () => ({}), checkOutputs(outputs, `The stack ${name}`)),
    };
  } catch (error) {
    const { name: code, message } = error as Error;
    if (code === 'ValidationError' && /does not exist/.test(message)) {
      throw new UserError(
        `There is no stack ${stackName} in ${region}: deploy it (npx cdk deploy), name it (--stack), or set AWS_REGION.`,
      );
    }
    throw error;
  } finally {
    cloudformation.destroy();
  }
}

/**
 * A run on this machine, in this process or in another one.
 *
 * @param resting executions that nobody works at
 */
export function localDeployment({ endpoints, outputs }: RunningCloud, resting = 0): Deployment {
  const credentials = { accessKeyId: 'LOCAL-operator', secretAccessKey: 'local' };
  return {
    name: 'the local run',
    isLocal: true,
    resting,
    console: undefined,
    ...connect(
      { region: 'us-east-1', credentials },
      (service) => ({ endpoint: endpoints[service], ...(service === 's3' && { forcePathStyle: true }) }),
      checkOutputs(outputs, 'The local run'),
    ),
  };
}

function connect(
  common: object,
  of: (service: keyof RunningCloud['endpoints']) => object,
  outputs: Outputs,
): Omit<Deployment, 'name' | 'isLocal' | 'console' | 'resting'> {
  const clients = {
    s3: new S3Client({ ...common, ...of('s3') }),
    rekognition: new RekognitionClient({ ...common, ...of('rekognition') }),
    dynamodb: new DynamoDBClient({ ...common, ...of('dynamodb') }),
    states: new SFNClient({ ...common, ...of('states') }),
    lambda: new LambdaClient({ ...common, ...of('lambda') }),
    sqs: new SQSClient({ ...common, ...of('sqs') }),
  };
  setEventsFolder(outputs.EventsFolder ?? DEFAULT_EVENTS_FOLDER);
  return {
    outputs,
    ...clients,
    close() {
      for (const client of Object.values(clients)) {
        client.destroy();
      }
    },
  };
}

function checkOutputs(outputs: Record<string, string>, what: string): Outputs {
  const missing = OUTPUTS.find((name) => !outputs[name]);
  if (missing) {
    throw new UserError(
      `${what} has no output ${missing}: it is not Rollcall's, or older than these commands; deploy it again.`,
    );
  }
  return outputs as Outputs;
}
