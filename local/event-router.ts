import { LocalError } from './local-error.ts';
import { ACCOUNT, REGION } from './template.ts';

/** https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html */
export interface BusEvent {
  version: '0';
  id: string;
  'detail-type': string;
  source: string;
  account: string;
  /** ISO 8601, whole seconds. */
  time: string;
  region: string;
  resources: string[];
  detail: Record<string, unknown>;
}

export interface InputTransformer {
  InputPathsMap?: Record<string, string>;
  InputTemplate: string;
}

export interface RuleTarget {
  Id: string;
  Arn: string;
  Input?: string;
  InputPath?: string;
  InputTransformer?: InputTransformer;
  DeadLetterConfig?: { Arn: string };
}

export interface Rule {
  name: string;
  /** Undefined for a rule that only a schedule sets off. */
  pattern: unknown;
  targets: RuleTarget[];
}

export interface EventRouter {
  /** Hands the event to the targets of every rule that it matches. */
  publish(event: BusEvent): void;
  /** Hands the event to the targets of one rule, as its schedule does. */
  fire(rule: string, event: BusEvent): void;
}

/**
 * An event bus: rules with patterns, targets with their input.
 *
 * @param deliver gives the target its input; what it throws goes to `deadLetter`, at once, because no retry of a local
 *   call helps
 * @throws LocalError `UnsupportedTemplateError` for a pattern that it does not understand
 */
export function createEventRouter(
  rules: readonly Rule[],
  deliver: (target: RuleTarget, input: unknown) => void,
  deadLetter: (failure: { rule: Rule; target: RuleTarget; event: BusEvent; error: Error }) => void,
): EventRouter {
  const compiled = rules.map((rule) => ({
    rule,
    matches: rule.pattern === undefined ? () => false : compilePattern(rule.pattern),
  }));
  const hand = (rule: Rule, event: BusEvent) => {
    for (const target of rule.targets) {
      try {
        deliver(target, targetInput(target, event, rule.name));
      } catch (error) {
        deadLetter({ rule, target, event, error: error as Error });
      }
    }
  };
  return {
    publish(event) {
      for (const { rule, matches } of compiled) {
        if (matches(event)) {
          hand(rule, event);
        }
      }
    },
    fire(name, event) {
      hand(rules.find((rule) => rule.name === name)!, event);
    },
  };
}

export function ruleArn(name: string): string {
  return `arn:aws:events:${REGION}:${ACCOUNT}:rule/${name}`;
}

function targetInput(target: RuleTarget, event: BusEvent, rule: string): unknown {
  if (target.InputTransformer) {
    return transformInput(target.InputTransformer, event, rule);
  }
  if (target.Input !== undefined) {
    return JSON.parse(target.Input);
  }
  return target.InputPath === undefined ? event : valueAt(event, target.InputPath);
}

type Matcher = (value: unknown) => boolean;

/**
 * A rule's event pattern as a predicate.
 * https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
 *
 * @throws LocalError `UnsupportedTemplateError` for an operator that it does not know
 */
export function compilePattern(pattern: unknown): (event: unknown) => boolean {
  if (typeof pattern !== 'object' || pattern === null || Array.isArray(pattern)) {
    throw unsupported(pattern);
  }
  const fields = Object.entries(pattern).map(([name, expected]) => {
    if (name === '$or') {
      const alternatives = (expected as unknown[]).map(compilePattern);
      return (event: Record<string, unknown>) => alternatives.some((matches) => matches(event));
    }
    if (Array.isArray(expected)) {
      const matchers = expected.map(compileMatcher);
      // An array in the event matches when one of its elements does.
      return (event: Record<string, unknown>) => {
        const value = event[name];
        const values = Array.isArray(value) && value.length > 0 ? value : [value];
        return matchers.some((matches) => values.some(matches));
      };
    }
    const matchesNested = compilePattern(expected);
    return (event: Record<string, unknown>) => {
      const value = event[name];
      return Array.isArray(value) ? value.some(matchesNested) : matchesNested(value ?? {});
    };
  });
  return (event) =>
    typeof event === 'object' &&
    event !== null &&
    fields.every((matches) => matches(event as Record<string, unknown>));
}

function compileMatcher(expected: unknown): Matcher {
  if (typeof expected !== 'object' || expected === null) {
    return (value) => value === expected;
  }
  const [operator, ...more] = Object.entries(expected);
  const compile = operator && operators[operator[0]];
  if (!compile || more.length > 0) {
    throw unsupported(expected);
  }
  return compile(operator[1]);
}

const operators: Record<string, (operand: unknown) => Matcher> = {
  prefix: (operand) => compare(operand, (value, expected) => value.startsWith(expected)),
  suffix: (operand) => compare(operand, (value, expected) => value.endsWith(expected)),
  'equals-ignore-case': (operand) =>
    compare({ 'equals-ignore-case': operand }, (value, expected) => value === expected),
  wildcard: (operand) => {
    const parts = text(operand)
      .split('*')
      .map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
    const expression = new RegExp(`^${parts.join('.*')}$`, 's');
    return (value) => typeof value === 'string' && expression.test(value);
  },
  exists: (operand) => {
    if (typeof operand !== 'boolean') {
      throw unsupported({ exists: operand });
    }
    return (value) => (value !== undefined) === operand;
  },
  numeric: (operand) => {
    const checks = chunk(operand as unknown[]).map(([sign, number]) => {
      const check = comparisons[String(sign)];
      if (!check || typeof number !== 'number') {
        throw unsupported({ numeric: operand });
      }
      return (value: number) => check(value, number);
    });
    return (value) => typeof value === 'number' && checks.every((check) => check(value));
  },
  'anything-but': (operand) => {
    const unwanted = Array.isArray(operand)
      ? operand.map(compileMatcher)
      : typeof operand === 'object' && operand !== null
        ? unwantedBy(operand as Record<string, unknown>)
        : [compileMatcher(operand)];
    return (value) => value !== undefined && !unwanted.some((matches) => matches(value));
  },
};

/** `{prefix: ['a', 'b']}` inside anything-but is none of them. */
function unwantedBy(operand: Record<string, unknown>): Matcher[] {
  return Object.entries(operand).flatMap(([name, operands]) =>
    (Array.isArray(operands) ? operands : [operands]).map((one: unknown) => compileMatcher({ [name]: one })),
  );
}

/** The operand is the text itself, or `{equals-ignore-case: text}`. */
function compare(operand: unknown, test: (value: string, expected: string) => boolean): Matcher {
  if (typeof operand === 'object' && operand !== null) {
    const expected = text((operand as Record<string, unknown>)['equals-ignore-case']).toLowerCase();
    return (value) => typeof value === 'string' && test(value.toLowerCase(), expected);
  }
  const expected = text(operand);
  return (value) => typeof value === 'string' && test(value, expected);
}

const comparisons: Record<string, (value: number, number: number) => boolean> = {
  '=': (value, number) => value === number,
  '>': (value, number) => value > number,
  '>=': (value, number) => value >= number,
  '<': (value, number) => value < number,
  '<=': (value, number) => value <= number,
};

function chunk(operand: unknown[]): unknown[][] {
  return Array.from({ length: Math.ceil(operand.length / 2) }, (_, i) => operand.slice(2 * i, 2 * i + 2));
}

function text(operand: unknown): string {
  if (typeof operand !== 'string') {
    throw unsupported(operand);
  }
  return operand;
}

function unsupported(pattern: unknown): LocalError {
  return new LocalError(
    'UnsupportedTemplateError',
    `The local run does not understand this part of an event pattern: ${JSON.stringify(pattern)}.`,
  );
}

/**
 * What an input transformer makes of an event. In a JSON template a placeholder outside quotes becomes the value as JSON,
 * inside quotes its text; one whose path finds nothing is left out, and what then is no JSON cannot be delivered.
 * https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
 *
 * @throws Error when the result is not JSON
 */
export function transformInput(transformer: InputTransformer, event: BusEvent, rule: string): unknown {
  const { detail: _, ...withoutDetail } = event;
  const values: Record<string, unknown> = {
    'aws.events.rule-arn': ruleArn(rule),
    'aws.events.rule-name': rule,
    'aws.events.event.ingestion-time': event.time,
    'aws.events.event': withoutDetail,
    'aws.events.event.json': event,
  };
  for (const [name, path] of Object.entries(transformer.InputPathsMap ?? {})) {
    values[name] = valueAt(event, path);
  }
  let output = '';
  let inString = false;
  for (const token of transformer.InputTemplate.match(/\\.|<[^<>]+>|./gs) ?? []) {
    const name = /^<(.+)>$/.exec(token)?.[1];
    if (name !== undefined && Object.hasOwn(values, name)) {
      output += inString ? insideString(values[name]) : (JSON.stringify(values[name]) ?? '');
      continue;
    }
    inString = token === '"' ? !inString : inString;
    output += token;
  }
  try {
    return JSON.parse(output);
  } catch {
    throw new Error(`The input transformer of ${rule} made no JSON: ${output}`);
  }
}

function insideString(value: unknown): string {
  if (value === undefined) {
    return '';
  }
  const plain = typeof value === 'string' ? value : JSON.stringify(value);
  return JSON.stringify(plain).slice(1, -1);
}

/** Dot notation and array indices, which is what EventBridge knows of JSONPath beside wildcards. */
function valueAt(event: unknown, path: string): unknown {
  if (!/^\$(\.[\w\-/]+|\[\d+\])*$/.test(path)) {
    throw new LocalError('UnsupportedTemplateError', `The local run does not understand the path ${path}.`);
  }
  const steps = [...path.matchAll(/\.([\w\-/]+)|\[(\d+)\]/g)].map((match) => match[1] ?? match[2]!);
  return steps.reduce<unknown>(
    (value, step) => (value as Record<string, unknown> | undefined)?.[step],
    event,
  );
}
