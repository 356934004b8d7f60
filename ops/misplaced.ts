/** Uploads that belong to no event: what the database knows of them, and what lies in the bucket. */
import { paginateListObjectsV2 } from '@aws-sdk/client-s3';
import { count } from '../cli/text.ts';
import { PAGE_SIZE } from '../lambdas/answer-operator/questions.ts';
import { eventsFolder, foldersByEvent, photoKeyOf } from '../lambdas/shared/contract/photo-key.ts';
import type { MisplacedUpload } from '../lambdas/shared/photos/row-types.ts';
import { headObject } from './bucket.ts';
import { ask, chunksOf } from './database.ts';
import type { Deployment } from './deployment.ts';
import { parallel } from './parallel.ts';
import { table } from './table.ts';

/** A few lines about those that failed; none where there are none. */
export function misplacedLines(
  { total, uploads }: { total: number; uploads: readonly MisplacedUpload[] },
  columns: number | undefined,
): string[] {
  if (total === 0) {
    return [];
  }
  return [
    `${count(total, 'upload')} of no event: ${total === 1 ? 'its key is' : 'their keys are'} not ${eventsFolder()}{event UUID}/{name}.{extension}. Upload ${total === 1 ? 'it again under a right key, then delete it' : 'them again under right keys, then delete them'}.`,
    ...table(
      uploads.map(({ object_key, failed_at }) => [failed_at, object_key]),
      { columns },
    ),
    ...(total > uploads.length ? [`  … and ${total - uploads.length} more (--limit ${total})`] : []),
  ];
}

export interface MisplacedInBucket {
  /** Keys of objects that no event has. */
  there: string[];
  /** Keys of rows whose object is gone. */
  gone: string[];
}

/** Objects of no event that are listed at most; there may be more. */
const MAX_LISTED = 1_000;

/** Compares the rows of misplaced uploads with the bucket. */
export async function readMisplaced(deployment: Deployment): Promise<MisplacedInBucket> {
  const { uploads } = await ask(deployment, { ask: 'misplaced', limit: PAGE_SIZE });
  const there = new Set(await listMisplaced(deployment));
  const gone: string[] = [];
  await parallel(
    uploads.filter(({ object_key: key }) => !there.has(key)),
    async ({ object_key: key }) => {
      if (await headObject(deployment, key)) {
        there.add(key);
      } else {
        gone.push(key);
      }
    },
  );
  return { there: [...there].sort(), gone: gone.sort() };
}

/** What lies beside the folders of events. What S3's console makes of an empty folder is not an upload. */
async function listMisplaced(deployment: Deployment): Promise<string[]> {
  // In a bucket of somebody's own, what lies beside that folder is theirs.
  const isOwn = deployment.outputs.UploadsFolder === undefined;
  const top = isOwn ? await listLevel(deployment, '') : { keys: [], folders: [] };
  const events = await listLevel(deployment, eventsFolder());
  const keys = [...top.keys, ...events.keys];
  const others = [
    ...top.folders.filter((folder) => folder !== eventsFolder()),
    ...events.folders.filter((folder) => foldersByEvent([folder]).size === 0),
  ];
  for (const folder of others) {
    if (keys.length < MAX_LISTED) {
      keys.push(...(await listLevel(deployment, folder, { deep: true })).keys);
    }
  }
  return keys.filter((key) => !key.endsWith('/') && photoKeyOf(key) === undefined).slice(0, MAX_LISTED);
}

async function listLevel(
  { s3, outputs }: Deployment,
  prefix: string,
  { deep = false }: { deep?: boolean } = {},
): Promise<{ keys: string[]; folders: string[] }> {
  const keys: string[] = [];
  const folders: string[] = [];
  for await (const { Contents: contents = [], CommonPrefixes: prefixes = [] } of paginateListObjectsV2(
    { client: s3 },
    { Bucket: outputs.PhotoBucketName, Prefix: prefix, ...(!deep && { Delimiter: '/' }) },
  )) {
    keys.push(...contents.map(({ Key: key }) => key!));
    folders.push(...prefixes.map(({ Prefix: folder }) => folder!));
    if (keys.length >= MAX_LISTED) {
      break;
    }
  }
  return { keys, folders };
}

/** @returns how many rows there were */
export async function forgetGone(deployment: Deployment, keys: readonly string[]): Promise<number> {
  let forgotten = 0;
  for (const chunk of chunksOf(keys)) {
    forgotten += (await ask(deployment, { ask: 'forget_misplaced', keys: chunk })).forgotten;
  }
  return forgotten;
}
