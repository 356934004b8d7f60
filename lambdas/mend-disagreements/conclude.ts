import { logEvents, metricNames } from '../shared/contract/names.ts';
import {
  abandonedKey,
  batchKey,
  type Disagreement,
  MEMORY_KEY,
  type Memory,
  type Plan,
  planKey,
  type Reconciliation,
} from '../shared/reconciliation/contract.ts';
import type { Telemetry } from '../shared/runtime/telemetry.ts';
import type { JsonObjects } from '../shared/storage/json-objects.ts';

export interface ConcludeDeps {
  objects: JsonObjects;
  telemetry: Telemetry;
}

/** Ages that are remembered: 1 MB. Beyond them a disagreement counts as new in each run. */
const MAX_REMEMBERED = 10_000;

/** What nobody looked at for so long belongs to an event that is over. */
const FORGET_AFTER_MS = 60 * 24 * 3_600_000;

/** Adds up what a run found, tells it if there is anything to tell, and remembers what the next run needs. */
export async function conclude({ objects, telemetry }: ConcludeDeps, input: Reconciliation): Promise<void> {
  const { run, as_of, settled } = input;
  const plan = await objects.find<Plan>(planKey(run));
  if (!plan) {
    // An attempt before this one came as far as clearing the run away.
    return;
  }
  const memory = await objects.find<Memory>(MEMORY_KEY);
  const abandoned = (await objects.find<Memory['abandoned']>(abandonedKey(run))) ?? {};
  const disagreements: Disagreement[] = [
    ...plan.too_large.map(
      (id): Disagreement => ({ kind: 'event_too_large', event_id: id, about: id, fate: 'left' }),
    ),
    ...plan.erasures.map(
      (id): Disagreement => ({ kind: 'erasure_stuck', event_id: null, about: id, fate: 'mending' }),
    ),
  ];
  for (const batch of input.found_in) {
    disagreements.push(...(await objects.get<Disagreement[]>(batchKey(run, batch, 'disagreements'))));
  }

  const compared = new Set(plan.batches.flat().map(({ id }) => id));
  const first_seen = firstSeen(memory?.first_seen ?? {}, disagreements, compared, as_of);
  const seen = disagreements.map((one) => Date.parse(first_seen[nameOf(one)] ?? as_of));
  const age = seen.reduce((oldest, at) => Math.max(oldest, Date.parse(as_of) - at), 0) / 1_000;
  const left = disagreements.filter(({ fate }) => fate === 'left').length;

  const { metrics, logger } = telemetry;
  metrics.addMetric(metricNames.reconciliations, 'Count', 1);
  metrics.addMetric(metricNames.disagreements, 'Count', disagreements.length);
  metrics.addMetric(metricNames.disagreementsLeft, 'Count', left);
  metrics.addMetric(metricNames.disagreementAge, 'Seconds', Math.round(age));
  for (const [kind, of] of Map.groupBy(disagreements, (one) => one.kind)) {
    logger.warn('Bucket, database and collections disagree', {
      event: logEvents.disagreed,
      kind,
      count: of.length,
      left: of.filter(({ fate }) => fate === 'left').length,
      waiting: of.filter(({ fate }) => fate === 'waiting').length,
      events: [...new Set(of.flatMap(({ event_id }) => event_id ?? []))].slice(0, 10),
    });
  }
  await objects.put(MEMORY_KEY, {
    // A run of the changed events leaves out what it had no room for.
    compared_until: plan.put_off > 0 && memory ? memory.compared_until : settled,
    unfinished: [
      ...new Set(
        disagreements.flatMap(({ event_id, fate }) => (event_id && fate !== 'left' ? event_id : [])),
      ),
    ],
    first_seen,
    abandoned: input.scope === 'all' ? abandoned : (memory?.abandoned ?? {}),
  } satisfies Memory);
}

function nameOf({ kind, event_id, about }: Disagreement): string {
  return `${event_id ?? ''} ${kind} ${about}`;
}

/** What was seen keeps its date for as long as it is there; events that this run did not look at keep theirs. */
function firstSeen(
  before: Memory['first_seen'],
  disagreements: readonly Disagreement[],
  compared: ReadonlySet<string>,
  asOf: string,
): Memory['first_seen'] {
  const others = Object.entries(before).filter(([name, at]) => {
    const event = name.slice(0, name.indexOf(' '));
    return event !== '' && !compared.has(event) && Date.parse(asOf) - Date.parse(at) < FORGET_AFTER_MS;
  });
  const now = disagreements
    .map((one): [string, string] => [nameOf(one), before[nameOf(one)] ?? asOf])
    .sort(([, a], [, b]) => a.localeCompare(b));
  return Object.fromEntries([...others, ...now].slice(0, MAX_REMEMBERED));
}
