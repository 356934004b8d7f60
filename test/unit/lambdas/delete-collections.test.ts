/** What CloudFormation is answered when a stack goes, and what is deleted until then. */
import type { RekognitionClient } from '@aws-sdk/client-rekognition';
import * as v from 'valibot';
import {
  deleteCollections,
  type StackEvent,
  stackEventSchema,
} from '../../../lambdas/delete-collections/delete-collections.ts';
import { failing, fakeClient } from '../../support/fake-client.ts';
import { recordingTelemetry } from '../../support/recording-telemetry.ts';

const collection = (n: number) => `rollcall-0b8f1c8e-5d0a-4b6e-9a51-00000000000${n}`;
const request: StackEvent = {
  RequestType: 'Delete',
  ResponseURL: 'https://cloudformation.example/answer',
  StackId: 'stack',
  RequestId: 'request',
  LogicalResourceId: 'Collections',
};
const answered = { StackId: 'stack', RequestId: 'request', LogicalResourceId: 'Collections' };

/** Deletes two collections of ours, where a call of Rekognition's takes so long. */
async function run(
  handlers: Record<string, (input: Record<string, unknown>) => unknown> = {},
  { event = {}, leftMs = 900_000 }: { event?: Partial<StackEvent>; leftMs?: number } = {},
) {
  const { client, calls } = fakeClient<RekognitionClient>({
    ListCollections: () => ({ CollectionIds: [collection(1), 'rollcall-staff', collection(2)] }),
    DeleteCollection: () => ({}),
    ...handlers,
  });
  const recording = recordingTelemetry();
  const answers: [url: string, body: Record<string, unknown>][] = [];
  const slept: number[] = [];
  let paced = 0;
  await deleteCollections(
    {
      rekognition: client,
      telemetry: recording.telemetry,
      pace: async () => void paced++,
      remainingMs: () => leftMs - slept.reduce((sum, ms) => sum + ms, 0),
      collectionPrefix: 'rollcall-',
      respond: async (url, body) => void answers.push([url, JSON.parse(body)]),
    },
    { ...request, ...event },
    async (ms) => void slept.push(ms),
  );
  const deleted = calls.flatMap(([call, { CollectionId }]) =>
    call === 'DeleteCollection' ? [CollectionId] : [],
  );
  return { answers, deleted, slept, lines: recording.lines, paced, calls };
}
test('a stack that goes takes its collections along, each in its turn, and no other', async () => {
  const { answers, deleted, slept, lines, paced, calls } = await run();
  expect(deleted).toEqual([collection(1), collection(2)]);
  expect(answers).toEqual([
    [request.ResponseURL, { Status: 'SUCCESS', PhysicalResourceId: 'Collections', ...answered }],
  ]);
  expect([slept, lines]).toEqual([[], []]);
  expect(paced).toBe(calls.length);
});

test('the resource keeps the id that it has', async () => {
  const { answers } = await run({}, { event: { PhysicalResourceId: 'first' } });
  expect(answers[0]![1]).toMatchObject({ PhysicalResourceId: 'first' });
});

test.each(['Create', 'Update'] as const)('%s touches nothing', async (RequestType) => {
  const { answers, calls } = await run({}, { event: { RequestType } });
  expect([calls, answers.map(([, { Status }]) => Status)]).toEqual([[], ['SUCCESS']]);
});

test('throttled, it waits two seconds and asks again', async () => {
  let calls = 0;
  const throttledOnce = () => {
    calls++;
    return calls === 1 ? failing('ThrottlingException')() : {};
  };
  const { answers, deleted, slept } = await run({ DeleteCollection: throttledOnce });
  expect(deleted).toEqual([collection(1), collection(1), collection(2)]);
  expect([slept, answers[0]![1].Status]).toEqual([[2_000], 'SUCCESS']);
});

test('what an attempt before has deleted is deleted; what may not be is said so', async () => {
  const gone = await run({ DeleteCollection: failing('ResourceNotFoundException') });
  expect(gone.answers[0]![1].Status).toBe('SUCCESS');
  let calls = 0;
  const throttledFirst = () => failing(++calls === 1 ? 'ThrottlingException' : 'ResourceNotFoundException')();
  const both = await run({ DeleteCollection: throttledFirst });
  expect([both.answers[0]![1].Status, new Set(both.deleted)]).toEqual([
    'SUCCESS',
    new Set([collection(1), collection(2)]),
  ]);
  const denied = await run({ DeleteCollection: failing('AccessDeniedException') });
  expect(denied.deleted).toEqual([collection(1)]);
  const reason = expect.stringContaining('AccessDeniedException');
  expect(denied.answers).toEqual([
    [
      request.ResponseURL,
      { Status: 'FAILED', Reason: reason, PhysicalResourceId: 'Collections', ...answered },
    ],
  ]);
  expect(denied.lines).toEqual([{ level: 'error', message: 'Not all collections were deleted', reason }]);
});

test('fifteen seconds are kept to answer', async () => {
  const Reason = 'There was no time for all of the collections; delete the stack again';
  const late = await run({}, { leftMs: 14_999 });
  expect([late.deleted, late.answers[0]![1]]).toMatchObject([[], { Status: 'FAILED', Reason }]);
  const inTime = await run({}, { leftMs: 15_000 });
  expect(inTime.answers[0]![1]).toMatchObject({ Status: 'SUCCESS' });
  const throttled = await run({ ListCollections: failing('ThrottlingException') }, { leftMs: 20_000 });
  expect([throttled.slept, throttled.answers[0]![1].Reason]).toEqual([[2_000, 2_000, 2_000], Reason]);
});

test('what CloudFormation sends is read, and nothing else', () => {
  for (const RequestType of ['Create', 'Update', 'Delete']) {
    expect(v.is(stackEventSchema, { ...request, RequestType, ResourceProperties: {} })).toBe(true);
  }
  expect(v.is(stackEventSchema, { ...request, RequestType: 'Rollback' })).toBe(false);
  expect(v.is(stackEventSchema, { ...request, ResponseURL: 'nowhere' })).toBe(false);
});
