import * as v from 'valibot';
import {
  MAX_CHANGES,
  MAX_REOPENED,
  MAX_USAGE_ROWS,
  PAGE_SIZE,
  questionSchema,
} from '../../../lambdas/answer-operator/questions.ts';

const ID = '7f1d2a60-3b52-4b0e-9a53-2c3d4e5f6a7b';
const BEFORE = '2026-05-01T12:00:00.000Z';
const listOf = <Item>(length: number, item: Item): Item[] => Array.from({ length }, () => item);

/** Whole, as they are read. */
const questions = [
  { ask: 'summary' },
  { ask: 'summary', event_id: ID },
  { ask: 'events' },
  { ask: 'events', event_id: ID, after: ID },
  { ask: 'photos' },
  { ask: 'photos', event_id: ID, photo_ids: listOf(1_000, ID), retryable: false, after: ID },
  ...['processing', 'indexed', 'failed', 'deleted', 'erased'].map((status) => ({ ask: 'photos', status })),
  { ask: 'failures', limit: 0 },
  { ask: 'failures', event_id: ID, limit: 1_000 },
  { ask: 'event_list', limit: 1_000 },
  { ask: 'photo_history', photo_id: ID },
  { ask: 'faces', event_id: ID },
  { ask: 'faces', event_id: ID, after: ID },
  { ask: 'leaving', event_id: ID, after: 'face' },
  { ask: 'erasures', limit: 1_000 },
  { ask: 'erasures', event_id: ID, limit: 1 },
  { ask: 'misplaced', limit: 1_000 },
  ...['event', 'photographer', 'day'].map((by) => ({ ask: 'usage', by })),
  { ask: 'usage', by: 'day', since: '2026-05-01' },
  { ask: 'lose_faces', photos: listOf(500, { event_id: ID, photo_id: ID, face_id: 'face' }) },
  { ask: 'forget_misplaced', keys: listOf(500, 'lost/IMG_1.jpg') },
  { ask: 'reopen', event_id: ID, photo_ids: listOf(100, ID) },
  {
    ask: 'remove_faces',
    event_id: ID,
    collection_id: 'c',
    faces: listOf(500, { photo_id: ID, face_id: 'f' }),
  },
  { ask: 'remove_responses', event_id: ID, photo_ids: listOf(500, ID), before: BEFORE },
];

test.each(questions.map((question) => [question.ask, question] as const))(
  '%s: nothing of it is lost',
  (_, question) => {
    expect(v.parse(questionSchema, question)).toEqual(question);
  },
);

test.each<[question: object]>([
  [{ ask: 'everything' }],
  [{ ask: 'summary', event_id: 'none' }],
  [{ ask: 'events', after: 'none' }],
  [{ ask: 'photos', status: 'lost' }],
  [{ ask: 'photos', photo_ids: listOf(1_001, ID) }],
  ...['failures', 'event_list', 'erasures', 'misplaced'].flatMap((ask) =>
    [undefined, -1, 0.5, 1_001].map((limit): [object] => [{ ask, limit }]),
  ),
  [{ ask: 'photo_history' }],
  [{ ask: 'faces' }],
  [{ ask: 'leaving' }],
  [{ ask: 'usage', by: 'month' }],
  [{ ask: 'usage', by: 'day', since: 'May' }],
  [{ ask: 'lose_faces', photos: listOf(501, { event_id: ID, photo_id: ID, face_id: 'face' }) }],
  [{ ask: 'forget_misplaced', keys: listOf(501, 'lost/IMG_1.jpg') }],
  [{ ask: 'reopen', event_id: ID, photo_ids: listOf(101, ID) }],
  [
    {
      ask: 'remove_faces',
      event_id: ID,
      collection_id: 'c',
      faces: listOf(501, { photo_id: ID, face_id: 'f' }),
    },
  ],
  [{ ask: 'remove_responses', event_id: ID, photo_ids: listOf(501, ID), before: BEFORE }],
  [{ ask: 'remove_responses', event_id: ID, photo_ids: [ID], before: 'noon' }],
])('is no question: %j', (question) => {
  expect(v.safeParse(questionSchema, question).success).toBe(false);
});

test('whoever asks cuts what is long by the same numbers', () => {
  expect({ PAGE_SIZE, MAX_CHANGES, MAX_REOPENED, MAX_USAGE_ROWS }).toEqual({
    PAGE_SIZE: 1_000,
    MAX_CHANGES: 500,
    MAX_REOPENED: 100,
    MAX_USAGE_ROWS: 10_000,
  });
});
