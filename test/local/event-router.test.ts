import fc from 'fast-check';
import {
  type BusEvent,
  compilePattern,
  createEventRouter,
  transformInput,
} from '../../local/event-router.ts';
import { anyCharacter } from '../support/any-text.ts';

const event: BusEvent = {
  version: '0',
  id: '1',
  'detail-type': 'Object Created',
  source: 'aws.s3',
  account: '000000000000',
  time: '2026-01-01T00:00:00Z',
  region: 'us-east-1',
  resources: ['arn:aws:s3:::photos'],
  detail: {
    bucket: { name: 'photos' },
    object: { key: 'events/a "quoted" \\ näme <x>.jpg', size: 5, etag: 'abc', tags: ['a', 'b'] },
  },
};

describe('event pattern', () => {
  test.each<[string, unknown, boolean]>([
    ['exact', { source: ['aws.s3'] }, true],
    ['one of several', { source: ['aws.ec2', 'aws.s3'] }, true],
    ['another value', { source: ['aws.ec2'] }, false],
    ['all fields must match', { source: ['aws.s3'], region: ['eu-west-1'] }, false],
    ['nested', { detail: { bucket: { name: ['photos'] } } }, true],
    ['nested, not there', { detail: { nothing: { name: ['photos'] } } }, false],
    ['number', { detail: { object: { size: [5] } } }, true],
    ['a number is not a string', { detail: { object: { size: ['5'] } } }, false],
    ['an element of an array', { resources: ['arn:aws:s3:::photos'] }, true],
    ['prefix', { detail: { object: { key: [{ prefix: 'events/' }] } } }, true],
    [
      'prefix, any case',
      { detail: { object: { key: [{ prefix: { 'equals-ignore-case': 'EVENTS/' } }] } } },
      true,
    ],
    ['suffix', { detail: { object: { key: [{ suffix: '.png' }] } } }, false],
    ['equals-ignore-case', { source: [{ 'equals-ignore-case': 'AWS.S3' }] }, true],
    ['wildcard', { detail: { object: { key: [{ wildcard: 'events/*.jpg' }] } } }, true],
    ['wildcard is not a regular expression', { source: [{ wildcard: 'aws?s3' }] }, false],
    ['exists', { detail: { object: { etag: [{ exists: true }] } } }, true],
    ['exists not', { detail: { object: { 'version-id': [{ exists: false }] } } }, true],
    ['exists not, below what is not there', { detail: { gone: { deep: [{ exists: false }] } } }, true],
    ['numeric', { detail: { object: { size: [{ numeric: ['>', 0, '<=', 5] }] } } }, true],
    ['numeric, out of range', { detail: { object: { size: [{ numeric: ['>', 5] }] } } }, false],
    ['anything-but', { source: [{ 'anything-but': 'aws.s3' }] }, false],
    ['anything-but a list', { source: [{ 'anything-but': ['aws.ec2', 'aws.sqs'] }] }, true],
    ['anything-but suffix', { detail: { object: { key: [{ 'anything-but': { suffix: '/' } }] } } }, true],
    ['anything-but prefixes', { source: [{ 'anything-but': { prefix: ['x', 'aws.'] } }] }, false],
    ['anything-but what is not there', { nothing: [{ 'anything-but': 'a' }] }, false],
    ['$or', { $or: [{ source: ['no'] }, { region: ['us-east-1'] }] }, true],
  ])('%s', (_, pattern, expected) => {
    expect(compilePattern(pattern)(event)).toBe(expected);
  });

  test.each([{ source: [{ cidr: '10.0.0.0/8' }] }, { source: 'aws.s3' }, { source: [{ prefix: 1 }] }, ['x']])(
    'an unknown operator is an error at once: %j',
    (pattern) => {
      expect(() => compilePattern(pattern)).toThrow(/does not understand/);
    },
  );
});

describe('input transformer', () => {
  const paths = {
    key: '$.detail.object.key',
    size: '$.detail.object.size',
    object: '$.detail.object',
    first: '$.resources[0]',
  };
  const transform = (InputTemplate: string) =>
    transformInput({ InputPathsMap: paths, InputTemplate }, event, 'rule');

  test('values outside quotes, text inside', () => {
    expect(transform('{"k":<key>,"n":<size>,"o":<object>,"s":"<size> of <key>","a":[<first>]}')).toEqual({
      k: (event.detail.object as { key: string }).key,
      n: 5,
      o: event.detail.object,
      s: `5 of ${(event.detail.object as { key: string }).key}`,
      a: ['arn:aws:s3:::photos'],
    });
  });

  test('predefined variables', () => {
    const { detail: _, ...withoutDetail } = event;
    expect(
      transform('{"r":<aws.events.rule-name>,"e":<aws.events.event>,"j":<aws.events.event.json>}'),
    ).toEqual({
      r: 'rule',
      e: withoutDetail,
      j: event,
    });
  });

  test('a template that is a string', () => {
    expect(transform('"size <size>"')).toBe('size 5');
  });

  test('a path that finds nothing makes no JSON', () => {
    const transformer = { InputPathsMap: { v: '$.detail.object.version-id' }, InputTemplate: '{"v":<v>}' };
    expect(() => transformInput(transformer, event, 'rule')).toThrow(/made no JSON/);
  });

  test('any key survives', () => {
    fc.assert(
      fc.property(fc.string({ unit: anyCharacter }), (key) => {
        const one = { ...event, detail: { object: { key } } };
        const out = transformInput(
          { InputPathsMap: paths, InputTemplate: '{"a":<key>,"b":"-<key>-"}' },
          one,
          'rule',
        );
        expect(out).toEqual({ a: key, b: `-${key}-` });
      }),
    );
  });
});

test('a target that fails gets its event into the dead-letter queue, and the others get theirs', () => {
  const delivered: unknown[] = [];
  const dead: string[] = [];
  const target = (Id: string) => ({ Id, Arn: Id, InputPath: '$.detail.bucket.name' });
  const router = createEventRouter(
    [
      { name: 'one', pattern: { source: ['aws.s3'] }, targets: [target('bad'), target('good')] },
      { name: 'other', pattern: { source: ['aws.ec2'] }, targets: [target('never')] },
    ],
    ({ Id }, input) => {
      if (Id === 'bad') {
        throw new Error('no');
      }
      delivered.push([Id, input]);
    },
    ({ rule, target: { Id }, error }) => dead.push(`${rule.name} ${Id} ${error.message}`),
  );
  router.publish(event);
  expect(delivered).toEqual([['good', 'photos']]);
  expect(dead).toEqual(['one bad no']);
});
