import { PipelineError } from '../../lambdas/shared/contract/errors.ts';
import type { Plan, Reconciliation } from '../../lambdas/shared/reconciliation/contract.ts';
import type { JsonObjects } from '../../lambdas/shared/storage/json-objects.ts';

export const AS_OF = '2026-05-01T12:00:00.000Z';

/** A run of all events, as BeginReconciliation leaves it. */
export const runState = (rest: Partial<Reconciliation> = {}): Reconciliation => ({
  next: 'list',
  run: 'run-1',
  scope: 'all',
  as_of: AS_OF,
  started_at: AS_OF,
  settled: '2026-05-01T11:00:00.000Z',
  batch: 0,
  batches: 0,
  abandoned: 0,
  images_left: 100,
  deletions_left: 1_000,
  started: 0,
  outbox: false,
  found_in: [],
  questions: [],
  ...rest,
});

/** The plan of a run that has nothing to compare. */
export const runPlan = (rest: Partial<Plan> = {}): Plan => ({
  batches: [],
  too_large: [],
  put_off: 0,
  erasures: [],
  abandoned: [],
  ...rest,
});

/** The results bucket in memory. */
export function memoryObjects(): { objects: JsonObjects; content: Map<string, unknown> } {
  const content = new Map<string, unknown>();
  const find = async <Content>(key: string) => structuredClone(content.get(key)) as Content | undefined;
  return {
    content,
    objects: {
      find,
      async get<Content>(key: string) {
        const found = await find<Content>(key);
        if (found === undefined) {
          throw new PipelineError('ResultNotFound', `There is no ${key}`);
        }
        return found;
      },
      async put(key, value) {
        content.set(key, JSON.parse(JSON.stringify(value)));
      },
    },
  };
}
