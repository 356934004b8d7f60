import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { asksForHelp } from '../../../cli/command.ts';
import { type CommandName, commands, parseOpsArguments, startsWork, usage } from '../../../ops/arguments.ts';
import { erasureOfDeadLetter } from '../../../ops/commands/replay-dead-letters.ts';
import { hint } from '../../../ops/hint.ts';
import { atMost, priceOf } from '../../../ops/price.ts';

const ID = '0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77';

test.each([
  [[], 'Which command?'],
  [['delete-everything'], 'There is no command delete-everything'],
  [['status', 'now'], 'status takes no "now"'],
  [['status', '--fix'], 'status has no option --fix'],
  [['status', '--event', 'wedding'], '--event takes a UUID'],
  [['status', '--event'], '--event needs a value'],
  [['status', '--event', '--json'], '--event needs a value'],
  [['status', '--json=yes'], '--json takes no value'],
  [['failed', '--limit', 'all'], '--limit takes a whole number'],
  [['reprocess'], 'reprocess needs one of --photo, --event, --all-failed'],
  [['reprocess', '--photo', ID, '--all-failed'], 'and only one'],
  [['backfill'], 'backfill needs --prefix'],
  [['backfill', '--prefix', 'photos'], '--prefix takes a prefix of keys'],
  [['status', '--local', '--stack', 'Mine'], 'only one of them'],
  [['erase-event'], 'erase-event needs --event'],
  [['photo'], 'photo needs KEY|ID'],
  [['photo', ID, ID], 'photo takes no'],
  [['reprocess', '--all-failed', '--indexed'], '--indexed goes with --event'],
  [['find', '--photo', 'me.jpg'], 'find needs --event'],
  [['find', '--event', ID], 'find needs one of --photo, --face'],
  [['find', '--event', ID, '--photo', 'me.jpg', '--similarity', '79.9'], '--similarity is at least 80'],
  [['erase-person', '--photo', 'me.jpg'], 'erase-person needs --event'],
  [['erase-person', '--event', ID], 'erase-person needs one of --photo, --face'],
  [['erase-person', '--event', ID, '--face', 'mine'], '--face takes a UUID'],
  [['erase-person', '--event', ID, '--face', ID, '--similarity', '101'], '--similarity takes a percentage'],
])('%j: one clear line', (argv, message) => {
  let thrown: unknown;
  try {
    parseOpsArguments(argv, {});
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toMatchObject({ name: 'UserError', exitCode: 2, message: expect.stringContaining(message) });
  expect((thrown as Error).message).not.toContain('\n');
});

test('an option that npm kept for itself is told', () => {
  // This one npm always sets.
  const always = { npm_lifecycle_event: 'ops', npm_config_prefix: '/usr' };
  expect(parseOpsArguments(['status'], always)).toMatchObject({ command: 'status' });
  const env = { ...always, npm_config_json: 'true' };
  expect(() => parseOpsArguments(['status'], env)).toThrow(/put -- before the command/);
});

test('reads what is given', () => {
  expect(
    parseOpsArguments(['reprocess', '--event', ID.toUpperCase(), '--yes', '--no-wait', '--local'], {}),
  ).toMatchObject({
    command: 'reprocess',
    event: ID,
    yes: true,
    wait: false,
    local: true,
    includePermanent: false,
  });
});

test('a picture keeps the case of its name', () => {
  expect(parseOpsArguments(['erase-person', '--event', ID, '--photo', 'Me.JPG'], {})).toMatchObject({
    selfie: 'Me.JPG',
    similarity: 80,
  });
});

test('what started no erasure is started as its rule would have', () => {
  const events: [object, object | undefined][] = [
    [
      {
        'detail-type': 'Object Deleted',
        detail: {
          object: { key: 'events/e/a.jpg', sequencer: '0A' },
          'deletion-type': 'Permanently Deleted',
        },
      },
      {
        request: 'photo_deleted',
        object: { key: 'events/e/a.jpg', sequencer: '0A' },
        deletion_type: 'Permanently Deleted',
      },
    ],
    [
      { 'detail-type': 'Scheduled Event', time: '2026-05-01T03:30:00Z' },
      { request: 'retention', as_of: '2026-05-01T03:30:00Z' },
    ],
    [{ 'detail-type': 'Step Functions Execution Status Change', detail: {} }, { request: 'outbox' }],
    [{ 'detail-type': 'Object Deleted', detail: {} }, undefined],
    [{}, undefined],
  ];
  for (const [event, input] of events) {
    expect(erasureOfDeadLetter(JSON.stringify(event))).toEqual(input);
  }
  expect(erasureOfDeadLetter('no JSON')).toBeUndefined();
});

test('the help names every command and every option', () => {
  const text = usage();
  for (const [name, { options }] of Object.entries(commands)) {
    for (const word of [name, ...Object.keys(options).map((option) => `--${option}`)]) {
      expect(text).toContain(word);
    }
  }
});

test.each(Object.keys(commands))('%s --help is about that command alone', (name) => {
  const text = usage([name, '--help']);
  expect(text).toContain(`Usage: npm run ops -- ${name}`);
  for (const option of Object.keys(commands[name as CommandName].options)) {
    expect(text).toContain(`--${option}`);
  }
  const others = Object.keys(commands).filter((other) => other !== name);
  expect(others.filter((other) => new RegExp(`^  ${other} `, 'm').test(text))).toEqual([]);
});

test('help is asked for anywhere, before anything else is looked at', () => {
  expect(asksForHelp(['--help'])).toBe(true);
  expect(asksForHelp(['erase-event', '--event', ID, '--yes', '-h'])).toBe(true);
  expect(asksForHelp(['status'])).toBe(false);
});

test('only what looks, or sets what the pipeline goes by, starts nothing', () => {
  const starts = (argv: string[]) => startsWork(parseOpsArguments(argv, {}));
  for (const argv of [['status'], ['failed'], ['cost'], ['pause'], ['cap', '--images', '5'], ['reconcile']]) {
    expect([argv, starts(argv)]).toEqual([argv, false]);
  }
  expect(starts(['reconcile', '--fix'])).toBe(true);
  expect(starts(['reconcile', '--fix', '--dry-run'])).toBe(false);
  expect(starts(['reprocess', '--all-failed'])).toBe(true);
});

test('a command to copy operates what was operated', () => {
  expect(hint({ local: true, stack: 'Rollcall' }, 'resume')).toBe('`npm run ops -- resume --local`');
  expect(hint({ local: false, stack: 'Mine' }, 'resume')).toBe('`npm run ops -- resume --stack Mine`');
  expect(hint({ local: false, stack: 'Rollcall' }, 'resume')).toBe('`npm run ops -- resume`');
});

test('no command prints another one without where it goes', () => {
  const folder = path.join(import.meta.dirname, '../../../ops');
  const found = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !['arguments.ts', 'hint.ts'].includes(file))
    .flatMap((file) =>
      readFileSync(path.join(folder, file), 'utf8')
        .split('\n')
        .filter((line) => line.includes('npm run ops') && !/^\s*(\/?\*|\/\/)/.test(line))
        .map((line) => `${file}: ${line.trim()}`),
    );
  expect(found).toEqual([]);
});

test('12,000 photos cost about $12', () => {
  expect(priceOf(12_000)).toBe('about $12');
  expect(priceOf(3)).toBe('less than a cent');
  expect(priceOf(0)).toBe('nothing');
  expect(priceOf(600)).toBe('about $0.60');
  expect(atMost(600)).toBe('at most $0.60');
  expect(atMost(3)).toBe('less than a cent');
});

test.each(['', 'not JSON', 'null', '{}', '{"detail":{"object":{}}}'])(
  'a dead letter that reads %j is not understood',
  (body) => {
    expect(erasureOfDeadLetter(body)).toBeUndefined();
  },
);
