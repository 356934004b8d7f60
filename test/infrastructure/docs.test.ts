/** What the documentation tells one to type, or to look for, is there: commands, options, queries, outputs, metrics, widgets. */
import { globSync } from 'node:fs';
import { asksForHelp } from '../../cli/command.ts';
import { metricNames } from '../../lambdas/shared/contract/names.ts';
import { ConfigurationError, parseConfig } from '../../lib/config/config.ts';
import { defaultAlarmThresholds } from '../../lib/observability/alarm-thresholds.ts';
import {
  parseRekognitionArguments,
  parseResetArguments,
  parseStartArguments,
  parseUpArguments,
} from '../../local/cli/arguments.ts';
import { commands, parseOpsArguments } from '../../ops/arguments.ts';
import { dashboardOf } from '../support/observability.ts';
import { pages, ROOT, read } from '../support/pages.ts';
import { synthesised } from '../support/synthesised.ts';

const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };

/** What stands for something of the reader's own. */
const UUID = '6f0f7a54-9d6b-4f8e-8f0e-0c6f3f7d0c11';
function filledIn(command: string): string {
  return command
    .replaceAll(/\{[^}]*(UUID|id)\}|\b(EVENT|PHOTO|FACE)?_?ID\b|\bKEY\b/g, UUID)
    .replaceAll(/(--(?:event|face) )…/g, `$1${UUID}`)
    .replaceAll(/\bN\b/g, '5')
    .replaceAll(/\bYESTERDAY\b/g, '2026-05-01')
    .replaceAll(/[<>].*$/g, '');
}

/** Commands in code, inline or in a block, each alone. */
function commandsOf(page: string): string[] {
  const inline = [...page.matchAll(/`((?:[A-Z_]+=\S+ )?np[mx] [^`]+)`/g)].map(([, code]) => code!);
  const blocks = [...page.matchAll(/^(?: {4}|\t)\s*((?:[A-Z_]+=\S+ )*\S.*)$/gm)].map(([, line]) => line!);
  return [...inline, ...blocks]
    .flatMap((code) => code.replaceAll(/\s+/g, ' ').split(/ && |; | \| /))
    .map((code) =>
      code
        .replace(/\s+#.*$/, '')
        .replace(/^(?:[A-Z_]+=\S+ )+/, '')
        .replace(/\\$/, '')
        .trim(),
    )
    .filter((code) => /^np[mx] (run|start|test|ci|cdk)\b/.test(code));
}

const found = pages.flatMap((page) => commandsOf(read(page)).map((command) => ({ page, command })));

test('there are commands to try', () => {
  expect(found.length).toBeGreaterThan(60);
  expect(new Set(found.map(({ page }) => page)).size).toBeGreaterThan(8);
});

/** Runs the reader of the command's arguments; nothing else of it. */
function parse(command: string): unknown {
  // The one option that is npm's own: so that its heading stands in no pipe.
  const [npm, first, ...rest] = filledIn(command)
    .split(' ')
    .filter((word) => word !== '' && word !== '--silent');
  if (npm === 'npx') {
    return checkOptions(command);
  }
  const script = first === 'run' ? rest.shift()! : first!;
  if (script !== 'ci' && scripts[script] === undefined) {
    throw new Error(`package.json has no script ${script}`);
  }
  const argv = rest[0] === '--' ? rest.slice(1) : rest;
  if (rest.length > 0 && rest[0] !== '--') {
    throw new Error('npm takes options that do not come after -- for its own');
  }
  if (asksForHelp(argv)) {
    return undefined;
  }
  switch (script) {
    case 'ops':
      return argv.length === 0 ? undefined : parseOpsArguments(argv, {});
    case 'start':
      return parseStartArguments(argv, {});
    case 'local:up':
      return parseUpArguments(argv, {});
    case 'local:rekognition':
      return parseRekognitionArguments(argv);
    case 'local:reset':
      return parseResetArguments(argv);
    default:
      return undefined;
  }
}

/** The options of a deployment. */
function checkOptions(command: string): void {
  for (const [, name, value] of command.matchAll(/(?<=\s)-c\s+([^\s=]+)=(\S+)/g)) {
    if (!name!.startsWith('rollcall.')) {
      throw new Error(`-c ${name} is not an option of Rollcall: it begins with rollcall.`);
    }
    const option = name!.slice('rollcall.'.length);
    try {
      parseConfig({ [option]: value });
    } catch (error) {
      const message = (error as ConfigurationError).message;
      // What the reader has to fill in, and what stands only with another option.
      const isPart = /…|[A-Z]{4,}/.test(value!) || / which needs |; set /.test(message);
      if (!(error instanceof ConfigurationError) || message.startsWith('there is no option') || !isPart) {
        throw error;
      }
    }
  }
}

test.each(found)('$page: $command', ({ command }) => {
  expect(() => parse(command)).not.toThrow();
});

test('a command that is named without npm has the options that it is shown with', () => {
  const names = Object.keys(commands).join('|');
  const wrong = pages.flatMap((page) =>
    [...read(page).matchAll(new RegExp(`\`(${names})((?:\\s[^\`]*)?)\``, 'g'))].flatMap(
      ([code, name, rest]) => {
        const known = Object.keys(commands[name as keyof typeof commands].options);
        const given = [...rest!.matchAll(/--([\w-]+)/g)].map(([, option]) => option!);
        return given
          .filter((option) => !known.includes(option) && !['local', 'stack', 'json', 'yes'].includes(option))
          .map((option) => `${page}: ${code} has no --${option}`);
      },
    ),
  );
  expect(wrong).toEqual([]);
});

const template = synthesised({});
const savedQueries = Object.values(template.resources('AWS::Logs::QueryDefinition')).map(({ Properties }) =>
  (Properties.Name as string).replace(/^Rollcall\//, ''),
);
const text = pages.map((page) => ({ page, words: read(page).replaceAll(/\s+/g, ' ') }));
const named = (pattern: RegExp): [page: string, name: string][] =>
  text.flatMap(({ page, words }) =>
    [...words.matchAll(pattern)].map(([, name]): [string, string] => [page, name!]),
  );
const without = (names: readonly [string, string][], known: readonly string[]) =>
  names.filter(([, name]) => !known.includes(name));

test('every output that is named is one of the stack', () => {
  const outputs = named(/[Oo]utputs? `(\w+)`/g);
  expect(outputs.length).toBeGreaterThan(8);
  expect(without(outputs, Object.keys(template.json.Outputs as object))).toEqual([]);
});

test('every saved query that is named is saved', () => {
  const queries = [
    ...named(/quer(?:y|ies) \*([^*]+)\*/g),
    ...named(/`Rollcall\/([^`]+)`/g).filter(([, name]) => name !== '...'),
  ];
  expect(queries.length).toBeGreaterThan(4);
  expect(without(queries, savedQueries)).toEqual([]);
});

test('every metric that is named is printed', () => {
  const metrics = named(/[Mm]etrics? `(\w+)`/g);
  expect(metrics.length).toBeGreaterThan(1);
  expect(without(metrics, Object.values(metricNames))).toEqual([]);
});

test('every threshold that is named can be set', () => {
  const thresholds = named(/`alarmThresholds\.(\w+)`/g);
  expect(thresholds.length).toBeGreaterThan(3);
  expect(without(thresholds, Object.keys(defaultAlarmThresholds))).toEqual([]);
});

test('what is to be looked at on the dashboard is on it', () => {
  const shown = JSON.stringify(dashboardOf(template));
  const widgets = named(/[Dd]ashboard(?:'s|,) \*([^*]+)\*/g);
  expect(widgets.length).toBeGreaterThan(5);
  expect(widgets.filter(([, name]) => !shown.includes(`"${name}"`))).toEqual([]);
});

describe('the privacy page', () => {
  const page = read('docs/privacy.md');
  const [, stored = ''] = page.split('## What is stored');
  const table = stored.split('\n## ')[0]!;

  test('names every table but the one without content', () => {
    const tables = globSync('migrations/*.sql', { cwd: ROOT }).flatMap((file) =>
      [...read(file).matchAll(/CREATE TABLE (\w+)/g)].map(([, name]) => name!),
    );
    expect(tables.filter((name) => !table.includes(`\`${name}\``))).toEqual(['erasure_turn', 'change_feed']);
  });

  test('names every kind of resource that holds what came in', () => {
    const names: Record<string, string> = {
      'AWS::S3::Bucket': 'bucket',
      'AWS::DynamoDB::Table': 'DynamoDB',
      'AWS::RDS::DBCluster': 'Postgres',
      'AWS::SQS::Queue': 'SQS',
      'AWS::StepFunctions::StateMachine': 'Step Functions',
      'AWS::Logs::LogGroup': 'logs',
    };
    const holding =
      /Bucket$|(?<!Route)Table$|DBCluster$|Queue$|StateMachine$|LogGroup$|Stream$|FileSystem$|Topic$|Volume$/;
    const types = new Set(Object.values(template.json.Resources).map(({ Type }) => Type));
    // Topics hand on alarms, which tell numbers.
    const kinds = [...types].filter((type) => holding.test(type) && type !== 'AWS::SNS::Topic');
    expect(kinds.filter((type) => names[type] === undefined || !table.includes(names[type]))).toEqual([]);
    expect(kinds).toHaveLength(Object.keys(names).length);
  });
});
