import * as v from 'valibot';
import { MAX_CHANGES } from '../../../../../lambdas/answer-operator/questions.ts';
import {
  abandonedKey,
  afterBatch,
  batchKey,
  candidatesKey,
  MAX_ASKED,
  MEMORY_KEY,
  mendDisagreementsRequestSchema,
  planKey,
  readRowsRequestSchema,
  reconcileInputSchema,
  reconciliationSchema,
  surveyEventsRequestSchema,
} from '../../../../../lambdas/shared/reconciliation/contract.ts';
import { AS_OF, runState } from '../../../../support/reconciliation-state.ts';

const UUID = '0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77';
const isState = (rest: object) => v.is(reconciliationSchema, { ...runState(), ...rest });

test('a run is of the changed events or of all of them, at a moment', () => {
  const input = (scope: string, as_of = AS_OF) => v.is(reconcileInputSchema, { scope, as_of });
  expect([input('changed'), input('all'), input('some'), input('all', 'noon')]).toEqual([
    true,
    true,
    false,
    false,
  ]);
});

test.each<[what: string, schema: v.GenericSchema, steps: string[]]>([
  ['read-rows', readRowsRequestSchema, ['events', 'faces', 'rows']],
  ['survey-events', surveyEventsRequestSchema, ['events', 'collections']],
  ['mend-disagreements', mendDisagreementsRequestSchema, ['compare', 'mend', 'conclude']],
])('%s has its steps, and no other', (_, schema, steps) => {
  const of = (step: string) => v.is(schema, { step, input: runState() });
  expect(steps.filter((step) => !of(step))).toEqual([]);
  expect(['', 'skip'].filter(of)).toEqual([]);
});

test('what comes next is one of the states of the machine', () => {
  const next = ['skip', 'list', 'read', 'ask', 'mend', 'collections', 'conclude'];
  expect(next.filter((of) => !isState({ next: of }))).toEqual([]);
  expect(['', 'stop'].filter((of) => isState({ next: of }))).toEqual([]);
});

test('the name of a run is one for a folder', () => {
  const names = (...of: string[]) => of.filter((run) => isState({ run }));
  expect(names('run-1', 'x'.repeat(80))).toHaveLength(2);
  expect(names('', 'x'.repeat(81), '../x', 'a/b', '/a', 'a/', 'a b')).toEqual([]);
});

test('counts are whole numbers from nought', () => {
  const counts = (value: unknown) => isState({ images_left: value });
  expect([counts(0), counts(1), counts(-1), counts(0.5), counts('1')]).toEqual([
    true,
    true,
    false,
    false,
    false,
  ]);
});

test('what is asked of the operator’s function is one of three questions', () => {
  const questions: object[] = [
    { ask: 'lose_faces', photos: [{ event_id: UUID, photo_id: UUID, face_id: 'f' }] },
    { ask: 'remove_faces', event_id: UUID, collection_id: 'c', faces: [{ photo_id: UUID, face_id: 'f' }] },
    { ask: 'remove_responses', event_id: UUID, photo_ids: [UUID], before: AS_OF },
  ];
  expect(questions.filter((question) => !isState({ questions: [question] }))).toEqual([]);
  for (const question of [
    { ask: 'all' },
    { ...questions[0], ask: 'remove_faces' },
    { ...questions[2], before: 'now' },
  ]) {
    expect(isState({ questions: [question] })).toBe(false);
  }
});

test('everything of a run lies in its folder, and what the next one has to know beside all of them', () => {
  expect([candidatesKey('r'), planKey('r'), abandonedKey('r'), batchKey('r', 3, 'before')]).toEqual(
    ['candidates', 'plan', 'abandoned', '3-before'].map((name) => `reconciliations/runs/r/${name}.json`),
  );
  expect(MEMORY_KEY).toBe('reconciliations/memory.json');
});

test('after a batch comes the next one, or what belongs to no event, or the end', () => {
  const next = (rest: object) => afterBatch(runState({ batches: 2, ...rest }));
  expect([next({ batch: 1 }), next({ batch: 2, abandoned: 1 }), next({ batch: 2 })]).toEqual([
    'read',
    'collections',
    'conclude',
  ]);
});

test('as much is asked at once as the operator’s function takes', () => {
  expect(MAX_ASKED).toBe(MAX_CHANGES);
});
