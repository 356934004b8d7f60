import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BudgetsClient } from '@aws-sdk/client-budgets';
import { CloudFormationClient } from '@aws-sdk/client-cloudformation';
import { IAMClient } from '@aws-sdk/client-iam';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { RekognitionClient } from '@aws-sdk/client-rekognition';
import { ServiceQuotasClient } from '@aws-sdk/client-service-quotas';
import { SSMClient } from '@aws-sdk/client-ssm';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { count, pad } from '../../cli/text.ts';
import { UserError } from '../../cli/user-error.ts';
import { ConfigurationError, parseConfig } from '../../lib/config/config.ts';
import type { Arguments } from '../arguments.ts';
import type { Result } from '../context.ts';
import { NO_REGION } from '../deployment.ts';
import { accountPlan } from '../doctor/account-plan.ts';
import { checks, type DoctorDeps, examine, type Finding, type Wanted } from '../doctor/checks.ts';
import type { Progress } from '../progress.ts';

const ROOT = join(import.meta.dirname, '../..');

/** A doctor is patient, but a person is waiting. */
const RETRY = { maxAttempts: 3 };

type Environment = Readonly<Record<string, string | undefined>>;

/** Asks before a deployment what would make it fail; it needs no stack, and changes nothing. */
export async function doctor(args: Arguments, progress: Progress, env: Environment): Promise<Result> {
  const { wanted, qualifier } = await readOptions();
  if (args.local) {
    return planned({ wanted, qualifier, stack: args.stack });
  }
  const sts = new STSClient(RETRY);
  const region = await sts.config.region().catch(() => {
    throw new UserError(NO_REGION);
  });
  progress.step('Asking AWS');
  const { Account: account = '' } = await sts.send(new GetCallerIdentityCommand({}));
  const here = { ...RETRY, region };
  return diagnose({
    account,
    region,
    stack: args.stack,
    qualifier,
    wanted,
    nodeVersion: nodeOf(env),
    accountPlan: () => accountPlan(sts),
    rekognition: new RekognitionClient(here),
    quotas: new ServiceQuotasClient(here),
    lambda: new LambdaClient(here),
    // A service without Regions, which is reached through this one.
    budgets: new BudgetsClient({ ...here, region: 'us-east-1' }),
    iam: new IAMClient(here),
    ssm: new SSMClient(here),
    cloudformation: new CloudFormationClient(here),
  });
}

/** Asks all there is to ask, at once; exit code 1 when something will fail. */
export async function diagnose(deps: DoctorDeps): Promise<Result> {
  const found = await Promise.all(
    checks(deps).map(async (check) => ({ name: check.name, ...(await examine(check)) })),
  );
  const failing = found.filter(({ verdict }) => verdict === 'will fail').length;
  return {
    data: { account: deps.account, region: deps.region, checks: found },
    lines: [
      ...found.map((finding) => line(finding.name, finding)),
      '',
      failing > 0
        ? `A deployment to ${deps.account} in ${deps.region} will fail: ${count(failing, 'thing')} to do first.`
        : `Nothing speaks against a deployment to ${deps.account} in ${deps.region}: npx cdk deploy`,
    ],
    exitCode: failing > 0 ? 1 : 0,
  };
}

function line(name: string, { verdict, says, todo }: Finding): string {
  return `  ${pad(verdict, 9, 'left')}  ${pad(name, 18, 'left')}  ${says}${todo ? `. ${todo[0]!.toUpperCase()}${todo.slice(1)}` : ''}`;
}

/** What would be asked, where there is no account to ask. */
function planned(options: Pick<DoctorDeps, 'wanted' | 'qualifier' | 'stack'>): Result {
  const all = checks(options as DoctorDeps).map(({ name, right }) => ({ name, right }));
  return {
    data: { checks: all },
    lines: [
      'The run of this machine needs no account. Before a deployment this would be asked:',
      ...all.map(({ name, right }) => `  ${pad(name, 18, 'left')}  ${right}`),
    ],
    exitCode: 0,
  };
}

/** The options of cdk.json; what the command line of a deployment adds is not known here. */
async function readOptions(): Promise<{ wanted: Wanted; qualifier: string }> {
  const { context } = JSON.parse(await readFile(join(ROOT, 'cdk.json'), 'utf8')) as {
    context: Record<string, unknown>;
  };
  try {
    return {
      wanted: parseConfig((context.rollcall ?? {}) as Record<string, unknown>),
      qualifier: String(context['@aws-cdk/core:bootstrapQualifier'] ?? 'hnb659fds'),
    };
  } catch (error) {
    if (error instanceof ConfigurationError) {
      throw new UserError(`cdk.json: ${error.message}`);
    }
    throw error;
  }
}

/** npm's scripts run with a Node.js of their own; `npx cdk` does not. */
export function nodeOf({ npm_config_user_agent: agent = '' }: Environment): string {
  return /\bnode\/v(\S+)/.exec(agent)?.[1] ?? process.versions.node;
}
