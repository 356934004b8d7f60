/** Reads synthesised templates the way a reviewer does: by construct path instead of logical id. */

export interface CfnResource {
  Type: string;
  Properties: Record<string, unknown>;
  DependsOn?: string | string[];
  DeletionPolicy?: string;
  Metadata?: Record<string, unknown>;
}

export class ReadableTemplate {
  readonly json: { Resources: Record<string, CfnResource>; [section: string]: unknown };

  constructor(json: Record<string, unknown>) {
    this.json = json as ReadableTemplate['json'];
  }

  /** The resources of a type, by their construct path without stack and `/Resource`. */
  resources(type: string): Record<string, CfnResource> {
    return Object.fromEntries(
      Object.entries(this.json.Resources)
        .filter(([, resource]) => resource.Type === type)
        .map(([logicalId, resource]) => [this.path(logicalId), resource]),
    );
  }

  /** The one resource of a type. */
  only(type: string): CfnResource {
    const found = Object.values(this.resources(type));
    if (found.length !== 1) {
      throw new Error(`There are ${found.length} resources of type ${type}`);
    }
    return found[0]!;
  }

  path(logicalId: string): string {
    // The construct of the whole has the id that CDK leaves out.
    const path = (this.json.Resources[logicalId]?.Metadata?.['aws:cdk:path'] as string | undefined)?.replace(
      '/Default/',
      '/',
    );
    return path?.replace(/^[^/]+\//, '').replace(/\/(Resource|Default)$/, '') ?? logicalId;
  }

  /** An expression as text: `{SlotLedger.Arn}`, `arn:{AWS::Partition}:...`. */
  text(value: unknown): string {
    if (typeof value !== 'object' || value === null) {
      return String(value);
    }
    const [name, argument] = Object.entries(value)[0] as [string, never];
    switch (name) {
      case 'Ref':
        return `{${this.path(argument)}}`;
      case 'Fn::GetAtt': {
        const [logicalId, attribute] = argument as [string, string];
        return `{${this.path(logicalId)}.${attribute}}`;
      }
      case 'Fn::Join': {
        const [separator, parts] = argument as [string, unknown[]];
        return parts.map((part) => this.text(part)).join(separator);
      }
      case 'Fn::Sub':
        return String(argument).replaceAll('${', '{');
      default:
        return JSON.stringify(value);
    }
  }
}

export interface Statement {
  Effect: 'Allow' | 'Deny';
  Action: string | string[];
  Resource: unknown;
  Principal?: unknown;
  Condition?: unknown;
}

export function listOf<Value>(value: Value | Value[] | undefined): Value[] {
  return value === undefined ? [] : Array.isArray(value) ? value : [value];
}

export interface RoleGrants {
  /** Who may take the role. */
  principal: string;
  managedPolicies: string[];
  /** What the role may do, with the resources as text. */
  allowed: Record<string, string[]>;
}

/** Every role of a template with all that its policies allow. */
export function rolesOf(template: ReadableTemplate): Record<string, RoleGrants> {
  const roles: Record<string, RoleGrants> = {};
  for (const [name, { Properties: properties }] of Object.entries(template.resources('AWS::IAM::Role'))) {
    const trust = (properties.AssumeRolePolicyDocument as { Statement: Statement[] }).Statement;
    const inline = listOf(
      properties.Policies as { PolicyDocument: { Statement: Statement[] } }[] | undefined,
    );
    const attached = Object.values(template.resources('AWS::IAM::Policy')).filter((policy) =>
      (policy.Properties.Roles as unknown[]).some((role) => template.text(role) === `{${name}}`),
    );
    const statements = [
      ...inline.flatMap((policy) => policy.PolicyDocument.Statement),
      ...attached.flatMap(
        (policy) => (policy.Properties.PolicyDocument as { Statement: Statement[] }).Statement,
      ),
    ];
    const allowed: Record<string, string[]> = {};
    for (const statement of statements.filter(({ Effect }) => Effect === 'Allow')) {
      for (const action of listOf(statement.Action)) {
        const resources = listOf(statement.Resource).map((resource) => template.text(resource));
        allowed[action] = [...(allowed[action] ?? []), ...resources].sort();
      }
    }
    roles[name] = {
      principal: trust.map(({ Principal }) => JSON.stringify(Principal)).join(),
      managedPolicies: listOf(properties.ManagedPolicyArns as unknown[] | undefined).map((arn) =>
        template.text(arn),
      ),
      allowed,
    };
  }
  return roles;
}
