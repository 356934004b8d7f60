/**
 * What can be taken away from a source file, one thing at a time: the usual operators of mutation testing, as replacements of
 * a piece of its text. Types are left alone, and so are texts for people.
 */
import { parseSync } from 'oxc-parser';

export interface Mutation {
  /** Of the first character, counted from 1. */
  line: number;
  start: number;
  end: number;
  replacement: string;
}

interface Node {
  type: string;
  start: number;
  end: number;
  [property: string]: unknown;
}

const OPERATORS: Record<string, string[]> = {
  '===': ['!=='],
  '!==': ['==='],
  '<': ['<=', '>='],
  '<=': ['<', '>'],
  '>': ['>=', '<='],
  '>=': ['>', '<'],
  '+': ['-'],
  '-': ['+'],
  '*': ['/'],
  '/': ['*'],
  '%': ['*'],
  '**': ['*'],
  '&&': ['||'],
  '||': ['&&'],
  '??': ['&&'],
  '+=': ['-='],
  '-=': ['+='],
  '++': ['--'],
  '--': ['++'],
};

const METHODS = new Map(
  Object.entries({
    some: 'every',
    every: 'some',
    startsWith: 'endsWith',
    endsWith: 'startsWith',
    min: 'max',
    max: 'min',
    floor: 'ceil',
    ceil: 'floor',
    toLowerCase: 'toUpperCase',
    toUpperCase: 'toLowerCase',
    all: 'race',
  }),
);

/** Calls of which one part of an answer is left out: `list.filter(…)` -> `list`. */
const OMITTED = new Set([
  'filter',
  'slice',
  'sort',
  'toSorted',
  'reverse',
  'trim',
  'flat',
  'replaceAll',
  'replace',
]);

/** Texts for people, and SQL: no test holds their words. */
const isProse = (text: string) => /\S\s\S/.test(text);

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as Node).type === 'string';
}

/** Where an expression's value decides: a condition can be true or false whatever it says. */
const CONDITIONS = new Set([
  'IfStatement',
  'ConditionalExpression',
  'WhileStatement',
  'DoWhileStatement',
  'ForStatement',
]);

/** Wrappers of TypeScript around an expression that is there at run time. */
const TRANSPARENT = new Set([
  'TSAsExpression',
  'TSSatisfiesExpression',
  'TSNonNullExpression',
  'TSInstantiationExpression',
]);

/** @throws Error where the text is no TypeScript */
export function mutationsOf(file: string, source: string): Mutation[] {
  const { program, errors } = parseSync(file, source);
  if (errors.length > 0) {
    throw new Error(`${file}: ${errors[0]!.message}`);
  }
  const found: Mutation[] = [];
  const text = ({ start, end }: Pick<Node, 'start' | 'end'>) => source.slice(start, end);
  const replace = (node: Pick<Node, 'start' | 'end'>, replacement: string) => {
    const { start, end } = node;
    if (source.slice(start, end) !== replacement) {
      found.push({ line: source.slice(0, start).split('\n').length, start, end, replacement });
    }
  };
  /** The operator stands somewhere between its two sides. */
  const operators = (from: number, to: number, operator: string) => {
    const start = source.indexOf(operator, from);
    for (const other of start >= 0 && start < to ? (OPERATORS[operator] ?? []) : []) {
      replace({ start, end: start + operator.length }, other);
    }
  };

  const visit = (node: Node, parent: Node | undefined, key: string): void => {
    if (node.type.startsWith('TS') && !TRANSPARENT.has(node.type)) {
      return;
    }
    switch (node.type) {
      case 'ImportDeclaration':
      case 'ExportAllDeclaration':
      case 'ImportExpression':
        return;
      case 'BinaryExpression':
      case 'LogicalExpression': {
        const [left, right] = [node.left as Node, node.right as Node];
        const joinsText = node.operator === '+' && [left, right].some((side) => /^['"`]/.test(text(side)));
        if (!joinsText) {
          operators(left.end, right.start, node.operator as string);
        }
        break;
      }
      case 'AssignmentExpression':
        operators((node.left as Node).end, (node.right as Node).start, node.operator as string);
        break;
      case 'UpdateExpression':
        operators(node.start, node.end, node.operator as string);
        break;
      case 'UnaryExpression':
        if (node.operator === '!' || node.operator === '-') {
          replace(node, text(node.argument as Node));
        }
        break;
      case 'Literal':
        literal(node, parent, key);
        break;
      case 'TemplateLiteral':
        if (parent?.type !== 'TaggedTemplateExpression' && !isProse(text(node))) {
          replace(node, "'mutant'");
        }
        break;
      case 'TaggedTemplateExpression':
        conditionsOfSql(node.quasi as Node);
        break;
      case 'ArrayExpression':
        if ((node.elements as unknown[]).length > 0) {
          replace(node, '[]');
        }
        break;
      case 'ObjectExpression':
        for (const property of node.properties as Node[]) {
          if (property.type === 'SpreadElement' || property.shorthand || property.method) {
            replace(
              {
                start: property.start,
                end: property.end + (/^\s*,/.exec(source.slice(property.end))?.[0].length ?? 0),
              },
              '',
            );
          }
        }
        break;
      case 'ExpressionStatement':
        if ((node.expression as Node).type !== 'Literal') {
          replace(node, ';');
        }
        break;
      case 'ThrowStatement':
      case 'ContinueStatement':
      case 'BreakStatement':
        if (parent?.type !== 'SwitchCase') {
          replace(node, ';');
        }
        break;
      case 'ArrowFunctionExpression':
        if ((node.body as Node).type !== 'BlockStatement') {
          replace(node.body as Node, 'undefined');
        }
        break;
      case 'ChainExpression':
        break;
      case 'CallExpression':
        method(node);
        break;
      default:
    }
    if (CONDITIONS.has(node.type) && isNode(node.test)) {
      replace(node.test, 'true');
      replace(node.test, 'false');
    }
    if (node.optional === true && ['MemberExpression', 'CallExpression'].includes(node.type)) {
      const start = source.indexOf('?.', ((node.object ?? node.callee) as Node).end);
      const called = node.type === 'CallExpression' || node.computed === true;
      replace({ start, end: start + 2 }, called ? '' : '.');
    }
    for (const [name, value] of Object.entries(node)) {
      if (name === 'typeAnnotation' || name === 'typeArguments' || name === 'returnType') {
        continue;
      }
      for (const child of Array.isArray(value) ? value : [value]) {
        if (isNode(child)) {
          visit(child, node, name);
        }
      }
    }
  };

  const literal = (node: Node, parent: Node | undefined, key: string): void => {
    if (parent?.type === 'Property' && key === 'key') {
      return;
    }
    const { value } = node;
    if (typeof value === 'boolean') {
      replace(node, String(!value));
    } else if (typeof value === 'number') {
      // Half or twice of what is large: one millisecond more is nobody's promise. That `?? 0` is there at all, `&&` asks.
      if (parent?.type !== 'LogicalExpression') {
        replace(node, String(value === 0 ? 1 : value < 1 ? value / 2 : value < 100 ? value + 1 : value * 2));
      }
    } else if (typeof value === 'string' && !isProse(value)) {
      replace(node, value === '' ? "'mutant'" : "''");
    } else if (isNode(node) && 'regex' in node) {
      const { pattern } = node.regex as { pattern: string };
      const from = node.start + 1;
      if (pattern.startsWith('^')) {
        replace({ start: from, end: from + 1 }, '');
      }
      if (pattern.endsWith('$') && !pattern.endsWith('\\$')) {
        replace({ start: from + pattern.length - 1, end: from + pattern.length }, '');
      }
    }
  };

  /** Each `AND …` of a statement, to the end of its line, and its lock. */
  const conditionsOfSql = (statement: Node): void => {
    for (const { 0: found, 1: condition, index } of text(statement).matchAll(
      /\bAND (.+?)(?=\)* AND |\)*[;`]|\)* AS |\n)|FOR UPDATE/g,
    )) {
      const isBalanced = found.split('(').length === found.split(')').length;
      if (isBalanced) {
        const start = statement.start + index;
        replace({ start, end: start + found.length }, condition ? 'AND true' : '');
      }
    }
  };

  const method = (node: Node): void => {
    const callee = node.callee as Node;
    if (callee.type !== 'MemberExpression' || callee.computed) {
      return;
    }
    const property = callee.property as Node;
    const other = METHODS.get(property.name as string);
    if (other) {
      replace(property, other);
    }
    if (OMITTED.has(property.name as string)) {
      replace({ start: (callee.object as Node).end, end: node.end }, '');
    }
  };

  visit(program as unknown as Node, undefined, '');
  return found.sort((a, b) => a.start - b.start || a.end - b.end);
}

export function mutated(source: string, { start, end, replacement }: Mutation): string {
  return source.slice(0, start) + replacement + source.slice(end);
}

/** `<` -> `<=`, in one line. */
export function describeMutation(source: string, { start, end, replacement }: Mutation): string {
  const short = (text: string) => {
    const line = text.replaceAll(/\s+/g, ' ').trim();
    return line.length > 60 ? `${line.slice(0, 57)}...` : line;
  };
  return `${short(source.slice(start, end))} -> ${short(replacement) || 'nothing'}`;
}
