import { runSimulation } from '@cloud-copilot/iam-simulate';
import { ACCOUNT } from '../template.ts';
import { explanationOf } from './explained.ts';
import type { Grant, Policies, StatementJson } from './policies.ts';

/** One thing that a principal wants to do, as IAM sees it. */
export interface AwsCall {
  /** `s3:GetObject` */
  action: string;
  /** ARN, or `*` where the action knows no resource. */
  resource: string;
  /** Condition keys beside those that every call has. */
  context?: Readonly<Record<string, string | string[]>>;
}

export type Decision = { allowed: true } | { allowed: false; message: string };

export interface RecordedCall extends AwsCall {
  /** Logical id of the role. */
  role: string;
  allowed: boolean;
  times: number;
}

export interface PrivilegeReport {
  /** Every different call since the start. */
  calls: RecordedCall[];
  /** Those that were refused. */
  denied: RecordedCall[];
  /** Grants that no call needed; with the reason, where one is known. */
  unused: (Grant & { reason: string | undefined })[];
}

export interface Authority {
  /**
   * Decides as AWS does, by the policies of the role and of the resource, and remembers the call.
   *
   * @param principal ARN of the function, state machine or role that calls
   */
  decide(principal: string, call: AwsCall): Promise<Decision>;
  report(): PrivilegeReport;
  /** Decides all recorded calls again without one grant: those that it is needed for. */
  neededFor(grant: Grant): Promise<RecordedCall[]>;
  /** Every grant of the roles that call anything here. */
  readonly grants: readonly Grant[];
  /** Takes a grant away, as a deployment that lacks it would; undefined gives it back. */
  withhold(grant: Grant | undefined): void;
}

/** Beyond this many different calls the oldest are decided anew. */
const REMEMBERED = 20_000;

interface Outcome {
  allowed: boolean;
  denied: 'explicitly' | 'implicitly' | undefined;
  /** Indexes of the grants that allowed it. */
  by: readonly number[];
}

/** IAM for one template. */
export function createAuthority(policies: Policies): Authority {
  const { grants } = policies;
  const used = new Set<number>();
  const recorded = new Map<string, RecordedCall>();
  let outcomes = new Map<string, Promise<Outcome>>();
  let withheld: Grant | undefined;

  /** Resources and conditions that differ only where no policy looks are decided alike: photos come by the thousand. */
  const patterns = new Map<string, RegExp[]>();
  const patternsFor = (role: string) => {
    let found = patterns.get(role);
    if (!found) {
      const ofRole = grants.filter((grant) => grant.role === role).map(({ resource }) => resource);
      const others = [...(policies.denials.get(role) ?? []), ...statementsOf(policies)];
      found = [...new Set([...ofRole, ...others.flatMap(({ Resource }) => [Resource].flat())])].map(glob);
      patterns.set(role, found);
    }
    return found;
  };
  const keyOf = (role: string, { action, resource, context }: AwsCall) => {
    const matches = patternsFor(role).map((pattern) => (pattern.test(resource) ? '1' : '0'));
    return JSON.stringify([role, action, matches.join(''), context ?? {}]);
  };

  async function decideFor(role: string, call: AwsCall, without: Grant | undefined): Promise<Outcome> {
    const allows = grants
      .map((grant, index): StatementJson & { role: string; grant: Grant } => ({
        grant,
        role: grant.role,
        Sid: `g${index}`,
        Effect: 'Allow',
        Action: grant.action,
        Resource: grant.resource,
        ...(grant.condition && { Condition: grant.condition }),
      }))
      .filter(({ role: holder, grant }) => holder === role && grant !== without)
      .map(({ role: _role, grant: _grant, ...statement }) => statement);
    const resourcePolicy = policies.ofResources.get(policedBy(call.resource));
    const simulated = await runSimulation(
      {
        request: {
          principal: policies.roleArns.get(role)!,
          action: call.action,
          resource: { resource: call.resource, accountId: ACCOUNT },
          contextVariables: {
            // The local endpoints are plain HTTP on this machine; on AWS the same clients speak TLS 1.3.
            'aws:SecureTransport': 'true',
            'aws:PrincipalIsAWSService': 'false',
            'aws:PrincipalAccount': ACCOUNT,
            ...(call.action.startsWith('s3:') && { 's3:TlsVersion': '1.3' }),
            ...call.context,
          },
        },
        identityPolicies: [
          {
            name: role,
            policy: { Version: '2012-10-17', Statement: [...allows, ...(policies.denials.get(role) ?? [])] },
          },
        ],
        serviceControlPolicies: [],
        resourceControlPolicies: [],
        ...(resourcePolicy && { resourcePolicy }),
      },
      {},
    );
    if (simulated.resultType !== 'single') {
      const why = simulated.resultType === 'error' ? JSON.stringify(simulated.errors) : simulated.resultType;
      throw new Error(`${call.action} on ${call.resource} cannot be judged: ${why}`);
    }
    const { overallResult, result } = simulated;
    const statements = result.analysis?.identityAnalysis?.allowStatements ?? [];
    return {
      allowed: overallResult === 'Allowed',
      denied:
        overallResult === 'Allowed'
          ? undefined
          : overallResult === 'ExplicitlyDenied'
            ? 'explicitly'
            : 'implicitly',
      by: statements.map(({ explain }) => Number(explain.identifier.slice(1))),
    };
  }

  function record(role: string, call: AwsCall, key: string, allowed: boolean): void {
    const id = `${key}${allowed}`;
    const known = recorded.get(id);
    if (known) {
      known.times++;
    } else {
      recorded.set(id, { ...call, role, allowed, times: 1 });
    }
  }

  return {
    get grants() {
      const callers = new Set([...recorded.values()].map(({ role }) => role));
      return grants.filter(({ role }) => callers.has(role));
    },
    async decide(principal, call) {
      const role = policies.roleOf.get(principal);
      if (role === undefined) {
        return { allowed: false, message: `${principal} has no role to perform ${call.action} with` };
      }
      const key = keyOf(role, call);
      let outcome = outcomes.get(key);
      if (!outcome) {
        outcome = decideFor(role, call, withheld);
        outcomes.set(key, outcome);
        if (outcomes.size > REMEMBERED) {
          outcomes.delete(outcomes.keys().next().value!);
        }
      }
      const { allowed, denied, by } = await outcome;
      record(role, call, key, allowed);
      if (!allowed) {
        return { allowed, message: refusal(policies.roleArns.get(role)!, principal, call, denied) };
      }
      for (const index of by) {
        used.add(index);
      }
      return { allowed };
    },
    report() {
      const calls = [...recorded.values()];
      return {
        calls,
        denied: calls.filter(({ allowed }) => !allowed),
        unused: grants
          .filter((_, index) => !used.has(index))
          .map((grant) => ({ ...grant, reason: explanationOf(grant) })),
      };
    },
    async neededFor(grant) {
      const calls = [...recorded.values()].filter(({ role, allowed }) => allowed && role === grant.role);
      const again = await Promise.all(
        calls.map(async (call) => ({ call, ...(await decideFor(call.role, call, grant)) })),
      );
      return again.filter(({ allowed }) => !allowed).map(({ call }) => call);
    },
    withhold(grant) {
      withheld = grant;
      outcomes = new Map();
    },
  };
}

function statementsOf({ ofResources }: Policies): StatementJson[] {
  return [...ofResources.values()].flatMap(({ Statement }) => Statement);
}

/** The resource whose policy has a say: of an object, its bucket. */
function policedBy(resource: string): string {
  return resource.startsWith('arn:aws:s3:::') ? resource.replace(/\/.*/s, '') : resource;
}

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html: `*` and `?` */
function glob(pattern: string): RegExp {
  const source = pattern
    .replaceAll(/[\\^$.|+()[\]{}]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's');
}

/** In AWS's words: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html */
function refusal(
  roleArn: string,
  principal: string,
  { action, resource }: AwsCall,
  denied: Outcome['denied'],
): string {
  const session = `${roleArn.replace(':iam:', ':sts:').replace(':role/', ':assumed-role/')}/${principal.replace(/.*:/, '')}`;
  const why =
    denied === 'explicitly'
      ? 'with an explicit deny'
      : `because no identity-based policy allows the ${action} action`;
  return `User: ${session} is not authorized to perform: ${action} on resource: ${resource} ${why}`;
}
