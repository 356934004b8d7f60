import { LocalError } from './local-error.ts';

export const ACCOUNT = '000000000000';
export const REGION = 'us-east-1';

export interface TemplateResource {
  Type: string;
  Properties?: Record<string, unknown>;
  Condition?: string;
  DependsOn?: string | string[];
}

/** The parts of a CloudFormation template that the local run reads. */
export interface Template {
  Parameters?: Record<string, { Type: string; Default?: unknown }>;
  Mappings?: Record<string, Record<string, Record<string, unknown>>>;
  Conditions?: Record<string, unknown>;
  Resources: Record<string, TemplateResource>;
  Outputs?: Record<string, { Value: unknown; Condition?: string }>;
}

/** What a resource is here: what Ref and Fn::GetAtt of it give. */
export interface LocalResource {
  ref: string;
  attributes: Readonly<Record<string, unknown>>;
}

export type LocalResources = (logicalId: string, resource: TemplateResource) => LocalResource;

export interface ResolvedResource {
  logicalId: string;
  local: LocalResource;
  /** A property's value; undefined when it is not there. Resolved on demand: most of a template means nothing here. */
  get<Value>(property: string): Value | undefined;
}

export interface ResolvedTemplate {
  /** The resources of a type, without those whose condition is false. */
  resources(type: string): ResolvedResource[];
  /** The value of any expression of the template. */
  resolve(value: unknown): unknown;
  outputs(): Record<string, string>;
}

/** AWS::NoValue takes the property that it is the value of away. */
const NO_VALUE = Symbol('AWS::NoValue');

/**
 * Reads a synthesised template as CloudFormation would, with local values for what the resources are.
 * https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
 *
 * @throws LocalError `UnsupportedTemplateError`, which names what it does not know and where it stands
 */
export function resolveTemplate(
  stackName: string,
  template: Template,
  localResources: LocalResources,
): ResolvedTemplate {
  const known = new Map<string, LocalResource>();

  function local(logicalId: string): LocalResource {
    const resource = template.Resources[logicalId];
    if (!resource) {
      throw unsupported(`There is no resource ${logicalId}`);
    }
    let found = known.get(logicalId);
    if (!found) {
      found = localResources(logicalId, resource);
      known.set(logicalId, found);
    }
    return found;
  }

  function ref(name: string): unknown {
    switch (name) {
      case 'AWS::AccountId':
        return ACCOUNT;
      case 'AWS::Region':
        return REGION;
      case 'AWS::Partition':
        return 'aws';
      case 'AWS::URLSuffix':
        return 'amazonaws.com';
      case 'AWS::StackName':
        return stackName;
      case 'AWS::StackId':
        return `arn:aws:cloudformation:${REGION}:${ACCOUNT}:stack/${stackName}/local`;
      case 'AWS::NoValue':
        return NO_VALUE;
      default: {
        const parameter = template.Parameters?.[name];
        if (!parameter) {
          return local(name).ref;
        }
        if (parameter.Default === undefined) {
          throw unsupported(`The parameter ${name} has no default`);
        }
        return parameter.Default;
      }
    }
  }

  function attribute(logicalId: string, name: string): unknown {
    const { attributes } = local(logicalId);
    if (!Object.hasOwn(attributes, name)) {
      const type = template.Resources[logicalId]?.Type;
      throw unsupported(`The local run has no ${name} for ${logicalId} (${type})`);
    }
    return attributes[name];
  }

  function condition(name: string): boolean {
    const expression = template.Conditions?.[name];
    if (expression === undefined) {
      throw unsupported(`There is no condition ${name}`);
    }
    return truth(expression);
  }

  function truth(expression: unknown): boolean {
    const value = resolve(expression);
    if (value !== true && value !== false) {
      throw unsupported(`${JSON.stringify(expression)} is not a condition`);
    }
    return value;
  }

  function substitute(text: string, variables: Record<string, unknown>): string {
    return text.replace(/\$\{(!?)([^}]+)\}/g, (_, literal: string, name: string) => {
      if (literal) {
        return `\${${name}}`;
      }
      if (Object.hasOwn(variables, name)) {
        return String(resolve(variables[name]));
      }
      const dot = name.indexOf('.');
      return String(dot < 0 ? ref(name) : attribute(name.slice(0, dot), name.slice(dot + 1)));
    });
  }

  const functions: Record<string, (argument: unknown) => unknown> = {
    Ref: (name) => ref(name as string),
    'Fn::GetAtt': (argument) => {
      const [logicalId, name] =
        typeof argument === 'string' ? argument.split(/\.(.*)/s) : (argument as string[]);
      return attribute(logicalId!, resolve(name) as string);
    },
    'Fn::Join': (argument) => {
      const [separator, parts] = argument as [string, unknown];
      return (resolve(parts) as unknown[]).join(separator);
    },
    'Fn::Sub': (argument) => {
      const [text, variables] =
        typeof argument === 'string' ? [argument, {}] : (argument as [string, object]);
      return substitute(text, variables as Record<string, unknown>);
    },
    'Fn::Select': (argument) => {
      const [index, list] = argument as [unknown, unknown];
      const item = (resolve(list) as unknown[])[Number(resolve(index))];
      if (item === undefined) {
        throw unsupported(`Fn::Select finds nothing in ${JSON.stringify(argument)}`);
      }
      return item;
    },
    'Fn::Split': (argument) => {
      const [separator, text] = argument as [string, unknown];
      return (resolve(text) as string).split(separator);
    },
    'Fn::FindInMap': (argument) => {
      const [map, first, second] = resolve(argument) as [string, string, string];
      const value = template.Mappings?.[map]?.[first]?.[second];
      if (value === undefined) {
        throw unsupported(`The mapping ${map} has no ${first}.${second}`);
      }
      return value;
    },
    'Fn::GetAZs': () => ['a', 'b', 'c'].map((zone) => `${REGION}${zone}`),
    'Fn::Base64': (argument) => Buffer.from(resolve(argument) as string).toString('base64'),
    'Fn::If': (argument) => {
      const [name, whenTrue, whenFalse] = argument as [string, unknown, unknown];
      return resolve(condition(name) ? whenTrue : whenFalse);
    },
    'Fn::Equals': (argument) => {
      const [left, right] = resolve(argument) as unknown[];
      return left === right;
    },
    'Fn::And': (argument) => (argument as unknown[]).every(truth),
    'Fn::Or': (argument) => (argument as unknown[]).some(truth),
    'Fn::Not': (argument) => !truth((argument as unknown[])[0]),
    Condition: (name) => condition(name as string),
  };

  function resolve(value: unknown): unknown {
    if (typeof value !== 'object' || value === null) {
      return value;
    }
    if (Array.isArray(value)) {
      return value.map(resolve).filter((item) => item !== NO_VALUE);
    }
    const entries = Object.entries(value);
    const [name, argument] = entries[0] ?? [];
    if (entries.length === 1 && name !== undefined) {
      const call = functions[name];
      // An IAM policy statement has a key Condition too, with an object for a value.
      if (call && !(name === 'Condition' && typeof argument !== 'string')) {
        return call(argument);
      }
      if (name.startsWith('Fn::')) {
        throw unsupported(`The local run does not know ${name}`);
      }
    }
    return Object.fromEntries(
      entries.map(([key, item]) => [key, resolve(item)] as const).filter(([, item]) => item !== NO_VALUE),
    );
  }

  const exists = ({ Condition }: { Condition?: string }) => Condition === undefined || condition(Condition);

  return {
    resolve,
    resources: (type) =>
      Object.entries(template.Resources)
        .filter(([, resource]) => resource.Type === type && exists(resource))
        .map(([logicalId, { Properties = {} }]) => ({
          logicalId,
          local: local(logicalId),
          get: <Value>(property: string) => {
            const value = resolve(Properties[property]);
            return (value === NO_VALUE ? undefined : value) as Value | undefined;
          },
        })),
    outputs: () =>
      Object.fromEntries(
        Object.entries(template.Outputs ?? {})
          .filter(([, output]) => exists(output))
          .map(([name, output]) => [name, String(resolve(output.Value))]),
      ),
  };
}

function unsupported(message: string): LocalError {
  return new LocalError(
    'UnsupportedTemplateError',
    `The synthesised template cannot be run here: ${message}.`,
  );
}
