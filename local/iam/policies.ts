import type { ResolvedTemplate } from '../template.ts';

/** One action on one resource that a role is allowed: the smallest part of a policy that can be taken away. */
export interface Grant {
  /** `s3:PutObject on arn:... for RoleId`, unique within the template. */
  id: string;
  /** The role's logical id. */
  role: string;
  action: string;
  resource: string;
  condition: Record<string, unknown> | undefined;
}

export interface StatementJson {
  Sid?: string;
  Effect: 'Allow' | 'Deny';
  Principal?: unknown;
  Action: string | string[];
  Resource: string | string[];
  Condition?: Record<string, unknown>;
}

export interface Policies {
  /** Every grant of every role. */
  grants: Grant[];
  /** What roles are denied, by their logical id. */
  denials: Map<string, StatementJson[]>;
  /** The logical id of the role of a function, a state machine or a rule's target, by the ARN of what takes it or of itself. */
  roleOf: Map<string, string>;
  /** The ARN of a role, by its logical id. */
  roleArns: Map<string, string>;
  /** The policies of buckets and queues, by the resource's ARN. */
  ofResources: Map<string, { Version: string; Statement: StatementJson[] }>;
}

interface PolicyDocument {
  Statement: StatementJson | StatementJson[];
}

/** Reads who may do what out of a synthesised template. */
export function readPolicies(stack: ResolvedTemplate): Policies {
  const grants: Grant[] = [];
  const denials = new Map<string, StatementJson[]>();
  const roleOf = new Map<string, string>();
  const roleArns = new Map<string, string>();
  const roles = stack.resources('AWS::IAM::Role');
  const roleIdOf = (ref: string) => roles.find(({ local }) => local.ref === ref)?.logicalId ?? ref;

  const add = (role: string, document: PolicyDocument) => {
    for (const statement of [document.Statement].flat()) {
      if (statement.Effect === 'Deny') {
        denials.set(role, [...(denials.get(role) ?? []), statement]);
        continue;
      }
      for (const action of [statement.Action].flat()) {
        for (const resource of [statement.Resource].flat()) {
          const condition = statement.Condition;
          grants.push({ id: `${action} on ${resource} for ${role}`, role, action, resource, condition });
        }
      }
    }
  };
  for (const { logicalId, local, get } of roles) {
    roleArns.set(logicalId, local.attributes.Arn as string);
    roleOf.set(local.attributes.Arn as string, logicalId);
    for (const { PolicyDocument } of get<{ PolicyDocument: PolicyDocument }[]>('Policies') ?? []) {
      add(logicalId, PolicyDocument);
    }
  }
  for (const { get } of stack.resources('AWS::IAM::Policy')) {
    for (const role of get<string[]>('Roles') ?? []) {
      add(roleIdOf(role), get('PolicyDocument')!);
    }
  }
  for (const [type, property] of [
    ['AWS::Lambda::Function', 'Role'],
    ['AWS::StepFunctions::StateMachine', 'RoleArn'],
  ] as const) {
    for (const { local, get } of stack.resources(type)) {
      roleOf.set(local.attributes.Arn as string, roleOf.get(get<string>(property)!)!);
    }
  }

  const ofResources: Policies['ofResources'] = new Map();
  const arns = new Map(
    [...stack.resources('AWS::S3::Bucket'), ...stack.resources('AWS::SQS::Queue')].map(({ local }) => [
      local.ref,
      local.attributes.Arn as string,
    ]),
  );
  for (const { get } of stack.resources('AWS::S3::BucketPolicy')) {
    ofResources.set(arns.get(get<string>('Bucket')!)!, get('PolicyDocument')!);
  }
  for (const { get } of stack.resources('AWS::SQS::QueuePolicy')) {
    for (const queue of get<string[]>('Queues') ?? []) {
      ofResources.set(arns.get(queue)!, get('PolicyDocument')!);
    }
  }
  return { grants, denials, roleOf, roleArns, ofResources };
}
