/** What a deployment needs of the account, asked before it is tried. */
import { type BudgetsClient, DescribeBudgetsCommand } from '@aws-sdk/client-budgets';
import { type CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { GetRoleCommand, type IAMClient } from '@aws-sdk/client-iam';
import { GetAccountSettingsCommand, type LambdaClient } from '@aws-sdk/client-lambda';
import { ListCollectionsCommand, type RekognitionClient } from '@aws-sdk/client-rekognition';
import {
  GetAWSDefaultServiceQuotaCommand,
  GetServiceQuotaCommand,
  type ServiceQuotasClient,
} from '@aws-sdk/client-service-quotas';
import { GetParameterCommand, type SSMClient } from '@aws-sdk/client-ssm';
import { awsErrorDetails } from '../../lambdas/shared/contract/errors.ts';
import { rekognitionQuotas } from '../../lambdas/shared/contract/names.ts';
import { FORBIDDEN, SIGN_IN, UNREACHABLE } from '../aws-errors.ts';
import type { AccountPlan } from './account-plan.ts';

/** `look` is worth a look and stops nothing; `not known` is what AWS did not say. */
export type Verdict = 'fine' | 'look' | 'will fail' | 'not known';

export interface Finding {
  verdict: Verdict;
  /** What was found, and what it means. */
  says: string;
  /** What to do about it. */
  todo?: string;
}

export interface Check {
  name: string;
  /** The right that asking takes, as IAM calls it. */
  right: string;
  run(): Promise<Finding>;
}

/** The options that decide whether something is needed. */
export interface Wanted {
  database: 'aurora' | 'external';
  monthlyBudgetUsd: number;
  lambdaReservedConcurrency: number | undefined;
  indexFacesPerSecond: number | undefined;
}

export interface DoctorDeps {
  account: string;
  region: string;
  stack: string;
  /** Of the CDK's bootstrap resources. */
  qualifier: string;
  wanted: Wanted;
  /** The version that npm runs with, such as `22.4.0`. */
  nodeVersion: string;
  accountPlan(): Promise<AccountPlan>;
  rekognition: RekognitionClient;
  quotas: ServiceQuotasClient;
  lambda: LambdaClient;
  budgets: BudgetsClient;
  iam: IAMClient;
  ssm: SSMClient;
  cloudformation: CloudFormationClient;
}

/** package.json's `engines`. */
const MIN_NODE_MAJOR = 20;
/** https://github.com/aws/aws-cdk: what the templates of this version of the CDK ask for. */
export const MIN_BOOTSTRAP_VERSION = 6;
/** Functions whose concurrency `lambdaReservedConcurrency` reserves. */
const RESERVING_FUNCTIONS = 5;
/** https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html: has to be left to all other functions. */
const UNRESERVED_MINIMUM = 100;
/** So many invocations at once serve 50 photos a second. */
const ENOUGH_CONCURRENCY = 100;
const LAMBDA_CONCURRENCY = 'L-B99A9384';
/** https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/free-tier-plans.html */
const FREE_PLAN_MONTHS = 6;

const THROTTLED = new Set([
  'ThrottlingException',
  'Throttling',
  'TooManyRequestsException',
  'RequestLimitExceeded',
]);

export function checks(deps: DoctorDeps): Check[] {
  const { wanted } = deps;
  return [
    { name: 'Node.js', right: 'nothing', run: async () => node(deps) },
    { name: 'Account plan', right: 'freetier:GetAccountPlanState', run: () => plan(deps) },
    { name: 'CDK bootstrap', right: 'ssm:GetParameter', run: () => bootstrap(deps) },
    { name: 'Stack', right: 'cloudformation:DescribeStacks', run: () => stackState(deps) },
    { name: 'Rekognition', right: 'rekognition:ListCollections', run: () => rekognition(deps) },
    { name: 'IndexFaces quota', right: 'servicequotas:GetServiceQuota', run: () => indexFaces(deps) },
    { name: 'Other quotas', right: 'servicequotas:GetServiceQuota', run: () => otherQuotas(deps) },
    { name: 'Lambda concurrency', right: 'lambda:GetAccountSettings', run: () => concurrency(deps) },
    ...(wanted.monthlyBudgetUsd > 0
      ? [{ name: 'Budgets', right: 'budgets:ViewBudget', run: () => budgets(deps) }]
      : []),
    ...(wanted.database === 'aurora'
      ? [{ name: 'RDS role', right: 'iam:GetRole', run: () => rdsRole(deps) }]
      : []),
  ];
}

/**
 * Runs a check; what AWS refuses or cannot say is a finding too.
 *
 * @throws when nobody is signed in: then no other check says anything either
 */
export async function examine({ right, run }: Check): Promise<Finding> {
  try {
    return await run();
  } catch (error) {
    const { name, message } = awsErrorDetails(error);
    const { code, cause } = (error ?? {}) as { code?: string; cause?: { code?: string } };
    if (SIGN_IN.has(name)) {
      throw error;
    }
    if (FORBIDDEN.has(name)) {
      return {
        verdict: 'not known',
        says: `you lack ${right}`,
        todo: 'ask for the right, or whoever has it',
      };
    }
    if (THROTTLED.has(name)) {
      return { verdict: 'not known', says: 'AWS throttles the question', todo: 'run it again in a minute' };
    }
    if (UNREACHABLE.has(code ?? cause?.code ?? '') || name === 'TimeoutError') {
      return { verdict: 'not known', says: `AWS does not answer (${right}): ${message}` };
    }
    return { verdict: 'not known', says: `${name}: ${message}`.replaceAll(/\s+/g, ' ') };
  }
}

function node({ nodeVersion }: DoctorDeps): Finding {
  const major = Number(nodeVersion.split('.')[0]);
  return major >= MIN_NODE_MAJOR
    ? { verdict: 'fine', says: nodeVersion }
    : {
        verdict: 'will fail',
        says: `${nodeVersion}, and the CDK app needs ${MIN_NODE_MAJOR}`,
        todo: `install Node.js ${MIN_NODE_MAJOR} or newer`,
      };
}

async function plan({ accountPlan, wanted }: DoctorDeps): Promise<Finding> {
  let state: AccountPlan;
  try {
    state = await accountPlan();
  } catch (error) {
    if (awsErrorDetails(error).name === 'ResourceNotFoundException') {
      return { verdict: 'fine', says: 'none: an account from before July 2025' };
    }
    throw error;
  }
  if (state.accountPlanType !== 'FREE') {
    return { verdict: 'fine', says: state.accountPlanType.toLowerCase() };
  }
  const ends = state.accountPlanExpirationDate;
  const says = [
    `free${ends === undefined ? '' : ` until ${day(ends)}, opened about ${day(monthsBefore(ends, FREE_PLAN_MONTHS))}`}`,
    ...(state.accountPlanStatus === 'EXPIRED' ? ['expired'] : []),
  ].join(', ');
  if (wanted.database === 'aurora' || state.accountPlanStatus === 'EXPIRED') {
    return {
      verdict: 'will fail',
      says: `${says}: it creates no Aurora cluster`,
      todo: 'upgrade to the paid plan (Billing console), or use an external database (-c rollcall.database=external)',
    };
  }
  return { verdict: 'look', says: `${says}: the account is closed after it`, todo: 'upgrade before that' };
}

async function bootstrap({ ssm, qualifier, account, region }: DoctorDeps): Promise<Finding> {
  const todo = `npx cdk bootstrap aws://${account}/${region}`;
  try {
    const { Parameter } = await ssm.send(
      new GetParameterCommand({ Name: `/cdk-bootstrap/${qualifier}/version` }),
    );
    const version = Number(Parameter?.Value);
    return version >= MIN_BOOTSTRAP_VERSION
      ? { verdict: 'fine', says: `version ${version}` }
      : {
          verdict: 'will fail',
          says: `version ${Parameter?.Value}, and ${MIN_BOOTSTRAP_VERSION} is needed`,
          todo,
        };
  } catch (error) {
    if (awsErrorDetails(error).name === 'ParameterNotFound') {
      return { verdict: 'will fail', says: `${region} is not bootstrapped in this account`, todo };
    }
    throw error;
  }
}

/** https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html */
async function stackState({ cloudformation, stack }: DoctorDeps): Promise<Finding> {
  try {
    const { Stacks: stacks = [] } = await cloudformation.send(
      new DescribeStacksCommand({ StackName: stack }),
    );
    const status = stacks[0]?.StackStatus ?? '';
    if (/^(ROLLBACK_COMPLETE|ROLLBACK_FAILED|CREATE_FAILED|DELETE_FAILED)$/.test(status)) {
      return {
        verdict: 'will fail',
        says: `${stack} is ${status} and cannot be updated`,
        todo: `aws cloudformation delete-stack --stack-name ${stack}`,
      };
    }
    if (status === 'UPDATE_ROLLBACK_FAILED') {
      return {
        verdict: 'will fail',
        says: `${stack} is ${status}`,
        todo: `aws cloudformation continue-update-rollback --stack-name ${stack}`,
      };
    }
    if (/_IN_PROGRESS$/.test(status)) {
      return { verdict: 'will fail', says: `${stack} is ${status}`, todo: 'wait until that is over' };
    }
    return { verdict: 'fine', says: `${stack} is ${status}` };
  } catch (error) {
    if (/does not exist/.test(awsErrorDetails(error).message)) {
      return { verdict: 'fine', says: `there is no ${stack} yet` };
    }
    throw error;
  }
}

async function rekognition({ rekognition: client, region }: DoctorDeps): Promise<Finding> {
  try {
    await client.send(new ListCollectionsCommand({ MaxResults: 1 }));
    return { verdict: 'fine', says: `answers in ${region}` };
  } catch (error) {
    // A Region without the service has no such host.
    if ((error as NodeJS.ErrnoException).code === 'ENOTFOUND') {
      return {
        verdict: 'will fail',
        says: `there is none in ${region}`,
        todo: 'choose a Region of https://docs.aws.amazon.com/general/latest/gr/rekognition.html',
      };
    }
    throw error;
  }
}

async function indexFaces(deps: DoctorDeps): Promise<Finding> {
  const { perSecond, applied } = await quota(deps, rekognitionQuotas.indexFaces);
  const configured = deps.wanted.indexFacesPerSecond;
  const says = `${perSecond} calls a second${applied ? '' : ' by default'}: 1,000 photos take ${Math.ceil(1_000 / perSecond)} s`;
  if (configured !== undefined && configured > perSecond) {
    return {
      verdict: 'look',
      says: `${says}; indexFacesPerSecond is ${configured}, so calls will be throttled`,
      todo: `set it to ${perSecond} or leave it out, or ask Service Quotas for more`,
    };
  }
  return perSecond < 10
    ? {
        verdict: 'look',
        says,
        todo: `ask Service Quotas for more (rekognition, ${rekognitionQuotas.indexFaces})`,
      }
    : { verdict: 'fine', says };
}

async function otherQuotas(deps: DoctorDeps): Promise<Finding> {
  const { createCollection, deleteFaces, listFaces } = rekognitionQuotas;
  const found = await Promise.all(
    Object.entries({ createCollection, deleteFaces, listFaces }).map(
      async ([name, code]) => [name, (await quota(deps, code)).perSecond] as const,
    ),
  );
  const says = found.map(([name, perSecond]) => `${operationOf(name)} ${perSecond}`).join(', ');
  // An erasure paces itself to five calls a second.
  return found.every(([, perSecond]) => perSecond >= 5)
    ? { verdict: 'fine', says: `${says} a second` }
    : {
        verdict: 'look',
        says: `${says} a second: erasures will be throttled`,
        todo: 'ask Service Quotas for 5',
      };
}

function operationOf(name: string): string {
  return `${name[0]!.toUpperCase()}${name.slice(1)}`;
}

/** The account's own quota; where nobody ever asked for another one Service Quotas may know the default alone. */
async function quota(
  { quotas }: DoctorDeps,
  QuotaCode: string,
): Promise<{ perSecond: number; applied: boolean }> {
  const question = { ServiceCode: rekognitionQuotas.serviceCode, QuotaCode };
  try {
    const { Quota } = await quotas.send(new GetServiceQuotaCommand(question));
    return { perSecond: Quota!.Value!, applied: true };
  } catch (error) {
    if (awsErrorDetails(error).name !== 'NoSuchResourceException') {
      throw error;
    }
    const { Quota } = await quotas.send(new GetAWSDefaultServiceQuotaCommand(question));
    return { perSecond: Quota!.Value!, applied: false };
  }
}

async function concurrency({ lambda, wanted }: DoctorDeps): Promise<Finding> {
  const { AccountLimit: limit } = await lambda.send(new GetAccountSettingsCommand({}));
  const all = limit?.ConcurrentExecutions ?? 0;
  const unreserved = limit?.UnreservedConcurrentExecutions ?? all;
  const says = `${all} invocations at once, ${unreserved} of them not reserved`;
  const askFor = `ask Service Quotas for 1,000 (lambda, ${LAMBDA_CONCURRENCY})`;
  const reserving = RESERVING_FUNCTIONS * (wanted.lambdaReservedConcurrency ?? 0);
  if (reserving > 0 && unreserved - reserving < Math.min(UNRESERVED_MINIMUM, all)) {
    return {
      verdict: 'will fail',
      says: `${says}; lambdaReservedConcurrency would reserve ${reserving}, and ${Math.min(UNRESERVED_MINIMUM, all)} have to be left`,
      todo: `leave lambdaReservedConcurrency out, or ${askFor}`,
    };
  }
  return unreserved < ENOUGH_CONCURRENCY
    ? { verdict: 'look', says: `${says}: photos will wait for functions`, todo: askFor }
    : { verdict: 'fine', says };
}

async function budgets({ budgets: client, account }: DoctorDeps): Promise<Finding> {
  try {
    await client.send(new DescribeBudgetsCommand({ AccountId: account, MaxResults: 1 }));
    return { verdict: 'fine', says: 'allowed' };
  } catch (error) {
    const { message } = awsErrorDetails(error);
    if (/linked account/.test(message)) {
      return {
        verdict: 'will fail',
        says: 'the account may have none',
        todo: 'ask the management account to enable budgets, or deploy without (-c rollcall.monthlyBudgetUsd=0)',
      };
    }
    throw error;
  }
}

async function rdsRole({ iam }: DoctorDeps): Promise<Finding> {
  try {
    await iam.send(new GetRoleCommand({ RoleName: 'AWSServiceRoleForRDS' }));
    return { verdict: 'fine', says: 'is there' };
  } catch (error) {
    // IAM's API leaves the Exception off.
    if (/^NoSuchEntity/.test(awsErrorDetails(error).name)) {
      return {
        verdict: 'look',
        says: 'is not there: RDS creates it with the first cluster, which may fail at the first try',
        todo: 'aws iam create-service-linked-role --aws-service-name rds.amazonaws.com',
      };
    }
    throw error;
  }
}

function day(seconds: number): string {
  return new Date(seconds * 1_000).toISOString().slice(0, 10);
}

function monthsBefore(seconds: number, months: number): number {
  const date = new Date(seconds * 1_000);
  date.setUTCMonth(date.getUTCMonth() - months);
  return date.getTime() / 1_000;
}
