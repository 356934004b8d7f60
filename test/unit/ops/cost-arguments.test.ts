import { UserError } from '../../../cli/user-error.ts';
import { parseOpsArguments } from '../../../ops/arguments.ts';

const parse = (...argv: string[]) => parseOpsArguments(argv, {});

test('cost adds up by event since the beginning, unless told otherwise', () => {
  expect(parse('cost')).toMatchObject({ command: 'cost', by: 'event', since: undefined });
  expect(parse('cost', '--by', 'photographer', '--since=2026-02-28')).toMatchObject({
    by: 'photographer',
    since: '2026-02-28',
  });
});

test('cap shows, sets, or goes back', () => {
  expect(parse('cap')).toMatchObject({ command: 'cap', images: undefined, default: false });
  expect(parse('cap', '--images', '250000', '--yes')).toMatchObject({ images: 250_000, yes: true });
  expect(parse('cap', '--default')).toMatchObject({ default: true });
  expect(parse('cap', '--photographer', 'A0B1C2D3-0000-4000-8000-000000000001')).toMatchObject({
    photographer: 'a0b1c2d3-0000-4000-8000-000000000001',
  });
});

test.each([
  [['cost', '--by', 'month'], '--by takes one of event, photographer, day, not "month"'],
  [['cost', '--since', 'yesterday'], '--since takes a day such as 2026-05-01, not "yesterday"'],
  [['cost', '--since', '2026-06-31'], '--since takes a day'],
  [['cost', '--images', '5'], 'cost has no option --images'],
  [['cap', '--images', '0'], '--images takes a whole number from 1'],
  [['cap', '--images', '1e6'], '--images takes a whole number from 1'],
  [['cap', '--images'], '--images needs a value'],
  [['cap', '--photographer', 'Jane'], '--photographer takes a UUID'],
])('%j is answered in one line', (argv, message) => {
  expect(() => parse(...argv)).toThrow(UserError);
  expect(() => parse(...argv)).toThrow(message);
});
