import { count } from '../../cli/text.ts';
import type { Question } from '../../lambdas/answer-operator/questions.ts';
import { compare, type Finding, type FindingKind } from '../../lambdas/shared/reconciliation/compare.ts';
import {
  deletionOf,
  type Indexable,
  indexingOf,
  isIndexable,
} from '../../lambdas/shared/reconciliation/mending.ts';
import { type Arguments, SETTLE_MINUTES } from '../arguments.ts';
import { headObject } from '../bucket.ts';
import type { Context, Result } from '../context.ts';
import { ask, chunksOf } from '../database.ts';
import type { Deployment } from '../deployment.ts';
import { startErasure } from '../erasures.ts';
import { heldLines, startPhoto, waitForAll } from '../executions.ts';
import { hint } from '../hint.ts';
import { forgetGone, readMisplaced } from '../misplaced.ts';
import { parallel } from '../parallel.ts';
import { atMost } from '../price.ts';
import { collectionId, readEventIds, readFolders, readWorld } from '../reading.ts';
import { table } from '../table.ts';

const MEANING: Record<FindingKind, string> = {
  no_end: 'photos without an end state',
  never_seen: 'objects that were never indexed',
  faces_lost: 'photos whose faces the collection lost',
  stray_faces: 'photos with faces in the collection that no row knows',
  needless_responses: 'photos with stored responses that nobody needs any more',
  foreign_face: 'faces in a collection that Rollcall did not put there (left alone)',
  object_gone: 'photos whose object is gone from the bucket',
  wrong_count: 'photos whose face count is not that of their faces: a bug (left alone)',
  face_of_two_photos: 'faces that belong to two photos: a bug (left alone)',
};

const SHOWN = 10;

interface Found {
  eventId: string;
  findings: Finding[];
}

/** Compares bucket, database and collections, and with `--fix` mends what differs. */
export async function reconcile(context: Context): Promise<Result> {
  const { args, deployment, progress, now } = context;
  const settled = new Date(now() - args.settle * 60_000);
  progress.step('Looking for the events');
  const folders = await readFolders(deployment);
  const eventIds = args.event ? [args.event] : await readEventIds(deployment, folders);
  progress.start('Comparing events', eventIds.length);
  const found: Found[] = [];
  for (const eventId of eventIds) {
    found.push({ eventId, findings: compare(await readWorld(deployment, eventId, folders), settled) });
    progress.done();
  }
  // Those belong to no event, so that they are nobody's who asks about one.
  const misplaced = args.event ? { there: [], gone: [] } : await readMisplaced(deployment);
  progress.stop();
  const findings = found.flatMap((event) => event.findings);
  const data = {
    misplaced,
    events: eventIds.length,
    findings: Object.fromEntries(
      [...Map.groupBy(findings, ({ kind }) => kind)].map(([kind, of]) => [kind, of.length]),
    ),
    details: found.flatMap((event) => event.findings.map((finding) => detail(event.eventId, finding))),
  };
  if (findings.length + misplaced.there.length + misplaced.gone.length === 0) {
    return {
      data,
      lines: [
        `Bucket, database and collections of ${count(eventIds.length, 'event')} agree.`,
        ...unsettledLines(args.settle),
      ],
      exitCode: 0,
    };
  }
  const lines = [
    ...listed(context, misplaced.there, 'uploads whose key belongs to no event (left alone: delete them)'),
    ...listed(context, misplaced.gone, 'failed uploads of no event that are gone from the bucket'),
    ...[...Map.groupBy(findings, ({ kind }) => kind)].flatMap(([kind, of]) =>
      listed(context, of.map(describe), MEANING[kind]),
    ),
  ];
  if (!args.fix && !args.dryRun) {
    const mends = findings.length + misplaced.gone.length > 0;
    const command = sameAgain(args, '--fix');
    return {
      data,
      lines: [...lines, ...(mends ? ['', `${command} mends it.`] : []), ...unsettledLines(args.settle)],
      exitCode: 1,
    };
  }
  return mend(context, { found, settled, forgettable: misplaced.gone }, data, lines);
}

/** A command to copy that looks at what this one looked at. */
function sameAgain(args: Arguments, ...more: string[]): string {
  const { event, settle } = args;
  const words = [
    'reconcile',
    ...(event ? ['--event', event] : []),
    ...(settle === SETTLE_MINUTES ? [] : ['--settle', String(settle)]),
    ...more,
  ];
  return hint(args, words.join(' '));
}

/** Who looks just after the fault has to hear that it is not looked at yet. */
function unsettledLines(minutes: number): string[] {
  return minutes > 0
    ? [
        `What happened in the last ${count(minutes, 'minute')} may still be under way and was left out: --settle 0 looks at it too.`,
      ]
    : [];
}

/** `index 2 photos (at most a cent) and remove 1 face`: what there is to do, and nothing else. */
function planOf({
  toIndex,
  strays,
  needless,
  gone,
}: Record<'toIndex' | 'strays' | 'needless' | 'gone', number>): string {
  const parts = [
    ...(toIndex > 0 ? [`index ${count(toIndex, 'photo')} (${atMost(toIndex)})`] : []),
    ...(strays > 0 ? [`remove ${count(strays, 'face')}`] : []),
    ...(needless > 0 ? [`remove needless responses of ${count(needless, 'photo')}`] : []),
    ...(gone > 0 ? [`remove the faces of ${count(gone, 'deleted photo')}`] : []),
  ];
  return parts.length > 0 ? new Intl.ListFormat('en-US').format(parts) : 'index and remove nothing';
}

function listed({ columns }: Context, found: readonly string[], meaning: string): string[] {
  return found.length === 0
    ? []
    : [
        `${count(found.length, 'finding')}: ${meaning}`,
        ...table(
          found.slice(0, SHOWN).map((one) => [one]),
          { columns },
        ),
        ...(found.length > SHOWN ? [`  … and ${found.length - SHOWN} more (--json lists all)`] : []),
      ];
}

async function mend(
  context: Context,
  { found, settled, forgettable }: { found: Found[]; settled: Date; forgettable: string[] },
  data: object,
  lines: string[],
): Promise<Result> {
  const { args, deployment, progress } = context;
  const findings = found.flatMap((event) => event.findings);
  const toIndex = findings.filter(isIndexable);
  const strays = findings.reduce(
    (sum, finding) => sum + (finding.kind === 'stray_faces' ? finding.faceIds.length : 0),
    0,
  );
  const needless = findings.filter(({ kind }) => kind === 'needless_responses').length;
  const gone = findings.filter((finding) => finding.kind === 'object_gone');
  const plan = planOf({ toIndex: toIndex.length, strays, needless, gone: gone.length });
  if (args.dryRun) {
    return { data: { ...data, dry_run: true }, lines: [...lines, '', `Would ${plan}.`], exitCode: 1 };
  }
  if (toIndex.length + strays + needless + gone.length > 0 && !(await context.confirm(`Mend: ${plan}?`))) {
    return { data: { ...data, mended: false }, lines: [...lines, '', 'Nothing was mended.'], exitCode: 1 };
  }
  progress.step('Writing what is lost');
  const forgotten = await forgetGone(deployment, forgettable);
  await markLost(deployment, found);
  const requested = await removeStrays(deployment, found);
  const cleared = await removeResponses(deployment, found, settled);
  const deleted = await requestDeletions(deployment, gone);
  if (requested + cleared > 0) {
    await startErasure(deployment, { request: 'outbox' });
  }
  progress.start('Indexing', toIndex.length);
  const executions = await parallel(toIndex, (finding) => start(deployment, finding));
  const { ended, held } = args.wait
    ? await waitForAll(deployment, executions, () => progress.done())
    : { ended: [], held: 0 };
  progress.stop();
  const succeeded = ended.filter(({ status }) => status === 'SUCCEEDED').length;
  const unsuccessful = ended.length - succeeded;
  const indexedLine = args.wait
    ? `${count(succeeded, 'photo')} indexed again${unsuccessful > 0 ? `, ${unsuccessful.toLocaleString('en-US')} failed (${hint(args, 'failed')} says why)` : ''}.`
    : `${count(executions.length, 'photo')} on the way.`;
  return {
    data: {
      ...data,
      mended: unsuccessful === 0,
      started: executions.length,
      succeeded,
      failed: unsuccessful,
      held,
      faces_leaving: requested,
      responses_leaving: cleared,
      deletions: deleted,
      forgotten,
    },
    lines: [
      ...lines,
      '',
      ...(executions.length + requested + cleared + deleted + forgotten === 0
        ? ['There was nothing to mend for this command.']
        : []),
      ...(executions.length > 0 ? [indexedLine] : []),
      ...(await heldLines(context, held)),
      ...(requested > 0 ? [`${count(requested, 'face')} on the way out.`] : []),
      ...(cleared > 0 ? [`Needless responses of ${count(cleared, 'photo')} on the way out.`] : []),
      ...(deleted > 0 ? [`${count(deleted, 'deleted photo')} on the way out.`] : []),
      ...(forgotten > 0 ? [`${count(forgotten, 'failed upload')} of no event taken off the list.`] : []),
      `${sameAgain(args)} shows what is left.`,
    ],
    exitCode: unsuccessful > 0 ? 1 : 0,
  };
}

function start(deployment: Deployment, finding: Indexable): Promise<string> {
  const { input, name } = indexingOf(deployment.outputs.PhotoBucketName, finding);
  return startPhoto(deployment, input, name);
}

async function markLost(deployment: Deployment, found: readonly Found[]): Promise<void> {
  const lost = found.flatMap(({ eventId, findings }) =>
    findings.flatMap((finding) =>
      finding.kind === 'faces_lost'
        ? [{ event_id: eventId, photo_id: finding.photoId, face_id: finding.faceIds[0]! }]
        : [],
    ),
  );
  for (const photos of chunksOf(lost)) {
    await ask(deployment, { ask: 'lose_faces', photos });
  }
}

/** What S3's event of the deletion would have started, for objects that are gone indeed. */
async function requestDeletions(
  deployment: Deployment,
  gone: readonly Extract<Finding, { kind: 'object_gone' }>[],
): Promise<number> {
  const started = await parallel(gone, async (finding) => {
    if (await headObject(deployment, finding.key)) {
      return false;
    }
    await startErasure(deployment, deletionOf(finding).input);
    return true;
  });
  return started.filter(Boolean).length;
}

function removeStrays(deployment: Deployment, found: readonly Found[]): Promise<number> {
  return askFor(deployment, found, {
    of: (finding) =>
      finding.kind === 'stray_faces'
        ? finding.faceIds.map((face_id) => ({ photo_id: finding.photoId, face_id }))
        : [],
    question: (event_id, faces) => ({
      ask: 'remove_faces',
      event_id,
      collection_id: collectionId(deployment.outputs, event_id),
      faces,
    }),
  });
}

function removeResponses(deployment: Deployment, found: readonly Found[], settled: Date): Promise<number> {
  return askFor(deployment, found, {
    of: (finding) => (finding.kind === 'needless_responses' ? [finding.photoId] : []),
    question: (event_id, photo_ids) => ({
      ask: 'remove_responses',
      event_id,
      photo_ids,
      before: settled.toISOString(),
    }),
  });
}

/** Asks for what is to be removed of each event, as much as one question holds at a time. @returns how much was asked for */
async function askFor<Item>(
  deployment: Deployment,
  found: readonly Found[],
  removal: {
    of(finding: Finding): Item[];
    question(eventId: string, items: Item[]): Extract<Question, { ask: 'remove_faces' | 'remove_responses' }>;
  },
): Promise<number> {
  let requested = 0;
  for (const { eventId, findings } of found) {
    for (const items of chunksOf(findings.flatMap((finding) => removal.of(finding)))) {
      requested += (await ask(deployment, removal.question(eventId, items))).requested;
    }
  }
  return requested;
}

function describe(finding: Finding): string {
  switch (finding.kind) {
    case 'foreign_face':
      return `${finding.faceId} (${finding.externalImageId ?? 'no external id'})`;
    case 'face_of_two_photos':
      return `${finding.faceId}: ${finding.photoIds.join(', ')}`;
    case 'stray_faces':
      return `photo ${finding.photoId}: ${finding.faceIds.join(', ')}`;
    case 'needless_responses':
      return finding.keys.join(', ');
    case 'wrong_count':
      return `${finding.key}: ${finding.faceCount} and ${finding.rows}`;
    case 'faces_lost':
      return `${finding.key}: ${finding.faceIds.join(', ')}`;
    default:
      return finding.key;
  }
}

/** A finding as JSON: what is needed to look closer, without whole rows. */
function detail(eventId: string, finding: Finding): object {
  const { kind } = finding;
  const about = { kind, event_id: eventId };
  switch (kind) {
    case 'foreign_face':
      return { ...about, face_id: finding.faceId, external_image_id: finding.externalImageId ?? null };
    case 'face_of_two_photos':
      return { ...about, face_id: finding.faceId, photo_ids: finding.photoIds };
    case 'stray_faces':
      return { ...about, photo_id: finding.photoId, face_ids: finding.faceIds };
    case 'needless_responses':
      return { ...about, photo_id: finding.photoId, keys: finding.keys };
    case 'faces_lost':
      return { ...about, photo_id: finding.photoId, key: finding.key, face_ids: finding.faceIds };
    default:
      return { ...about, photo_id: finding.photoId, key: finding.key };
  }
}
