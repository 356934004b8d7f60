/**
 * A deployment changes the functions under running executions (docs/adr/0014-functions-at-latest.md): those began with an
 * older definition, and what they hand to the functions is what older code made of it. Each version that was deployed has a
 * folder here, made by `record.ts`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { GenericSchema } from 'valibot';
import { isFailureName } from '../../lambdas/shared/contract/errors.ts';
import {
  ensureCollectionRequestSchema,
  executionEndedSchema,
  executionInputSchema,
  indexFacesRequestSchema,
  joinLineRequestSchema,
  markFailedRequestSchema,
  objectCreatedSchema,
  parseRequest,
  persistResultsRequestSchema,
  skipIndexedRequestSchema,
} from '../../lambdas/shared/contract/payloads.ts';
import {
  confirmErasureRequestSchema,
  eraseInputSchema,
  listErasuresRequestSchema,
  removeFacesRequestSchema,
  requestErasureRequestSchema,
} from '../../lambdas/shared/erasure/contract.ts';
import { erasureOfDeadLetter } from '../../ops/commands/replay-dead-letters.ts';

const versions = readdirSync(import.meta.dirname, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

/** By the folder in `lambdas/`. */
const requests: Readonly<Record<string, GenericSchema>> = {
  'ensure-collection': ensureCollectionRequestSchema,
  'join-line': joinLineRequestSchema,
  'index-faces': indexFacesRequestSchema,
  'persist-results': persistResultsRequestSchema,
  'mark-failed': markFailedRequestSchema,
  'skip-indexed': skipIndexedRequestSchema,
  'request-erasure': requestErasureRequestSchema,
  'list-erasures': listErasuresRequestSchema,
  'remove-faces': removeFacesRequestSchema,
  'confirm-erasure': confirmErasureRequestSchema,
};

const inputs: Readonly<Record<string, GenericSchema>> = {
  PhotoIndexing: executionInputSchema,
  Erasure: eraseInputSchema,
};

/** Called by a deployment or the clock, with nothing that matters to them; or by `npm run ops`, which is of the version that is deployed. */
const WITHOUT_CONTRACT = ['bootstrap-database', 'migrate-database', 'answer-operator', 'read-quota'];

/** What older versions sent and nobody reads, by function or machine, as paths with `*` for any item. */
const NOT_READ: Readonly<Record<string, string[]>> = {
  // Of a listed object.
  'skip-indexed': ['Items.*.StorageClass'],
  // Of the step before, which the whole state goes along with.
  'confirm-erasure': ['input.next'],
  'list-erasures': ['input.next', 'input.wait_seconds'],
  // Of a deleted object: the delete marker's.
  'request-erasure': ['input.object.etag'],
  Erasure: ['object.etag'],
};

const read = (version: string, file: string) =>
  JSON.parse(readFileSync(path.join(import.meta.dirname, version, file), 'utf8')) as unknown;
const payloads = (version: string, folder: string) =>
  readdirSync(path.join(import.meta.dirname, version, folder)).flatMap((file) =>
    (read(version, `${folder}/${file}`) as unknown[]).map(
      (payload, index) => [path.basename(file, '.json'), index, payload] as const,
    ),
  );

/** The paths of what is in one value and not, or otherwise, in another. */
function lost(sent: unknown, understood: unknown, at = ''): string[] {
  if (typeof sent !== 'object' || sent === null) {
    return sent === understood ? [] : [at];
  }
  const paths = Object.entries(sent).flatMap(([key, value]) => {
    const name = Array.isArray(sent) ? '*' : key;
    const other = (understood as Record<string, unknown> | null | undefined)?.[key];
    return lost(value, other, at ? `${at}.${name}` : name);
  });
  return [...new Set(paths)];
}

/** What of it today's schema does not pass on, though it is read. */
function misunderstood(by: string, schema: GenericSchema, payload: unknown): string[] {
  return lost(payload, parseRequest(schema, payload)).filter((at) => !NOT_READ[by]?.includes(at));
}

test('there is something to hold the code against', () => {
  expect(versions.length).toBeGreaterThan(0);
});

describe.each(versions)('what version %s sent', (version) => {
  test.each(payloads(version, 'requests').filter(([fn]) => !WITHOUT_CONTRACT.includes(fn)))(
    '%s understands (%i)',
    (fn, _index, payload) => {
      const messages = messagesOf(payload);
      const schema = requests[fn];
      expect([fn, schema ?? messages]).toEqual([fn, expect.anything()]);
      if (messages) {
        for (const message of messages) {
          if (fn === 'announce-photos') {
            expect(misunderstood('PhotoIndexing', executionInputSchema, message)).toEqual([]);
            continue;
          }
          const { detail } = parseRequest(executionEndedSchema, message);
          expect(misunderstood('PhotoIndexing', executionInputSchema, JSON.parse(detail.input!))).toEqual([]);
        }
      } else {
        expect(misunderstood(fn, schema!, payload)).toEqual([]);
      }
    },
  );

  test.each(payloads(version, 'inputs').filter(([machine]) => inputs[machine]))(
    'starts an execution of %s (%i)',
    (machine, _index, payload) => {
      expect(misunderstood(machine, inputs[machine]!, payload)).toEqual([]);
    },
  );

  test('is understood when it comes out of a dead-letter queue', () => {
    const events = new Map(
      payloads(version, 'events').map(([name, , event]) => [name, JSON.stringify(event)]),
    );
    expect(parseRequest(objectCreatedSchema, JSON.parse(events.get('object-created')!))).toMatchObject({
      detail: { object: { sequencer: expect.any(String) } },
    });
    expect(erasureOfDeadLetter(events.get('object-deleted')!)).toMatchObject({ request: 'photo_deleted' });
  });

  test('has every function that a state machine calls', () => {
    const recorded = new Set(payloads(version, 'requests').map(([fn]) => fn));
    expect(Object.keys(requests).filter((fn) => !recorded.has(fn))).toEqual([]);
  });
});

describe.each(
  versions.flatMap((version) =>
    ['index-photo', 'erase-faces', 'backfill'].map((machine) => [machine, version] as const),
  ),
)('a running execution of %s began with the definition of version %s', (machine, version) => {
  const then = readFileSync(
    path.join(import.meta.dirname, version, 'state-machines', `${machine}.asl.json`),
    'utf8',
  );
  const now = readFileSync(
    path.join(import.meta.dirname, '../../state-machines', `${machine}.asl.json`),
    'utf8',
  );
  const all = (text: string, pattern: RegExp) =>
    [...new Set([...text.matchAll(pattern)].map(([, found]) => found!))].sort();

  test('and calls functions that are still there', () => {
    const functions = /\$\{(\w+)FunctionArn\}/g;
    expect(all(now, functions)).toEqual(expect.arrayContaining(all(then, functions)));
  });

  test('and reads of their results what they still return', () => {
    // What the definition of today reads too is there: its tests run it.
    const paths = /"(\$\.[\w.]+)/g;
    expect(all(now, paths)).toEqual(expect.arrayContaining(all(then, paths)));
  });

  test('and goes by names of errors that they still throw', () => {
    const names = all(then, /"ErrorEquals": \[([^\]]*)\]/g)
      .flatMap((list) => [...list.matchAll(/"([^"]+)"/g)].map(([, name]) => name!))
      .filter((name) => !/^(Lambda|Sandbox|Runtime|States|StepFunctions)\./.test(name));
    expect(names.filter((name) => !isFailureName(name))).toEqual([]);
  });
});

/** What is in a batch of a queue: ends of executions, inputs of those that begin; undefined for whatever else is sent. */
function messagesOf(payload: unknown): unknown[] | undefined {
  return (payload as { Records?: { body: string }[] }).Records?.map(
    ({ body }) => JSON.parse(body) as unknown,
  );
}
