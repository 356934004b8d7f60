import { createWriteStream, existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { allPages } from '../../cli/pages.ts';
import { readPictureFile } from '../../cli/picture-file.ts';
import { count, shortPath } from '../../cli/text.ts';
import { exitCodes, UserError } from '../../cli/user-error.ts';
import { fromWorkingDirectory } from '../../cli/working-directory.ts';
import { PAGE_SIZE } from '../../lambdas/answer-operator/questions.ts';
import {
  type FindPersonAnswer,
  type FoundPhoto,
  MAX_FOUND,
  MAX_SELFIE_BYTES,
} from '../../lambdas/shared/contract/search.ts';
import { selfieRefusal } from '../../lambdas/shared/contract/selfie.ts';
import { isMissingObject, s3Error } from '../../lambdas/shared/runtime/aws-errors.ts';
import type { Context, Result } from '../context.ts';
import { ask, chunksOf, invoke } from '../database.ts';
import { table } from '../table.ts';

/** What the searches of operators are called in the table `searches`. */
const REFERENCE = 'operator';

/**
 * Shows which photos of an event show the person of a picture, or of a face, and copies them where the operator wants them. It
 * asks the function that a route for everybody asks: what was erased is not shown to operators either.
 */
export async function find(context: Context): Promise<Result> {
  const { args, deployment, progress } = context;
  const search = args.face ? { face_id: args.face } : { image: readSelfie(args.selfie!) };
  progress.step('Searching');
  const pages = await searchFor(context, search);
  const last = pages.at(-1)!;
  const photos = pages.flatMap((page) => page.photos);
  const keys = await keysOf(context, photos);
  const rows = photos.map((photo) => ({ ...photo, object_key: keys.get(photo.photo_id) ?? null }));
  const copied = args.copyTo === undefined ? undefined : await copy(context, rows, args.copyTo);
  progress.stop();
  const data = {
    event_id: last.event_id,
    similarity: last.similarity,
    reason: last.reason,
    message: last.message,
    retry_after_seconds: last.retry_after_seconds,
    searched: last.searched,
    photos: rows,
    is_cut: last.is_cut,
    ...(copied && { copied }),
  };
  if (rows.length === 0) {
    const wait = last.retry_after_seconds === null ? '' : ` Try again in ${last.retry_after_seconds} s.`;
    const isAnswered = last.reason === 'NobodyFound';
    const lines = [`${last.message}${isAnswered ? ` (${last.similarity} % or more)` : ''}${wait}`];
    return { data, lines, exitCode: isAnswered ? exitCodes.done : exitCodes.incomplete };
  }
  const missing = copied === undefined ? 0 : rows.length - copied.length;
  return {
    data,
    lines: [
      ...table(
        rows.map(({ similarity, object_key, photo_id }) => [
          `${similarity.toFixed(1)} %`,
          object_key ?? photo_id,
        ]),
        { columns: context.columns },
      ),
      `${count(rows.length, 'photo')} of this person in ${deployment.name}.`,
      ...(last.is_cut ? ['There are more matches than Rekognition tells: raise --similarity.'] : []),
      ...(copied ? [`Copied ${copied.length} of them to ${shortPath(target(args.copyTo!))}.`] : []),
      ...(missing > 0
        ? [`${count(missing, 'photo')} could not be copied: gone from the bucket meanwhile.`]
        : []),
    ],
    exitCode: missing > 0 ? exitCodes.incomplete : exitCodes.done,
  };
}

function readSelfie(typed: string): string {
  const file = fromWorkingDirectory(typed, process.env);
  return readPictureFile(file, MAX_SELFIE_BYTES, selfieRefusal).toString('base64');
}

function searchFor(
  { args, deployment }: Context,
  search: { face_id: string } | { image: string },
): Promise<[FindPersonAnswer, ...FindPersonAnswer[]]> {
  return allPages(
    async (from) =>
      (await invoke(deployment, deployment.outputs.FindPersonFunctionName, {
        ...search,
        event_id: args.event,
        similarity: args.similarity,
        limit: MAX_FOUND,
        reference: REFERENCE,
        ...from,
      })) as FindPersonAnswer,
  );
}

async function keysOf({ deployment }: Context, photos: readonly FoundPhoto[]): Promise<Map<string, string>> {
  const keys = new Map<string, string>();
  for (const some of chunksOf(photos, PAGE_SIZE)) {
    const rows = await ask(deployment, {
      ask: 'photos',
      photo_ids: some.map(({ photo_id }) => photo_id),
    });
    for (const { id, object_key } of rows) {
      keys.set(id, object_key);
    }
  }
  return keys;
}

function target(folder: string): string {
  return fromWorkingDirectory(folder, process.env);
}

/** @returns the files that were written, and of which photos */
async function copy(
  { deployment: { s3, outputs }, progress }: Context,
  photos: readonly { photo_id: string; object_key: string | null }[],
  folder: string,
): Promise<{ photo_id: string; file: string }[]> {
  const into = target(folder);
  mkdirSync(into, { recursive: true });
  const copied: { photo_id: string; file: string }[] = [];
  for (const [i, { photo_id, object_key: key }] of photos.entries()) {
    if (key === null) {
      continue;
    }
    progress.step(`Copying ${i + 1} of ${photos.length}`);
    const name = key.slice(key.lastIndexOf('/') + 1);
    // Photos of two folders may have one name; nothing that is there is written over.
    const file = [name, `${photo_id}-${name}`]
      .map((candidate) => path.join(into, candidate))
      .find((candidate) => !existsSync(candidate));
    if (file === undefined) {
      throw new UserError(`${path.join(into, name)} is there already: name an empty folder.`, 1);
    }
    const call = { operation: 'GetObject', bucket: outputs.PhotoBucketName, key } as const;
    try {
      const { Body: body } = await s3.send(new GetObjectCommand({ Bucket: call.bucket, Key: key }));
      await pipeline(body as Readable, createWriteStream(file, { flags: 'wx' }));
      copied.push({ photo_id, file });
    } catch (error) {
      const renamed = s3Error(error, call, 'InvalidS3Object');
      if (!isMissingObject(renamed)) {
        throw error;
      }
    }
  }
  return copied;
}
