import {
  type BoundingBox,
  type FaceMatch,
  ListFacesCommand,
  SearchFacesByImageCommand,
  SearchFacesCommand,
} from '@aws-sdk/client-rekognition';
import { readPictureFile } from '../../cli/picture-file.ts';
import { count } from '../../cli/text.ts';
import { UserError } from '../../cli/user-error.ts';
import { fromWorkingDirectory } from '../../cli/working-directory.ts';
import { awsErrorDetails } from '../../lambdas/shared/contract/errors.ts';
import { isUuid } from '../../lambdas/shared/contract/photo-key.ts';
import { MAX_PERSON_FACES, type PersonRequest } from '../../lambdas/shared/erasure/contract.ts';
import { compare } from '../../lambdas/shared/reconciliation/compare.ts';
import type { Context, Result } from '../context.ts';
import { ask, chunksOf } from '../database.ts';
import { receiptLines, startErasure, waitForReceipts } from '../erasures.ts';
import { checkEvent } from '../events.ts';
import { collectionId, readWorld } from '../reading.ts';
import { table } from '../table.ts';

/** https://docs.aws.amazon.com/rekognition/latest/dg/limits.html: an image in the request itself */
const MAX_IMAGE_BYTES = 5 * 1024 * 1024;
/** https://docs.aws.amazon.com/rekognition/latest/APIReference/API_SearchFacesByImage.html */
const MAX_MATCHES = 4_096;
const MATCHES_SHOWN = 50;

interface Match {
  face_id: string;
  photo_id: string;
  /** 0 to 100; null for the face that was named. */
  similarity: number | null;
  box: BoundingBox | undefined;
}

/**
 * Shows the faces of an event that are like a person's, and erases them when the operator says so. The picture that they are
 * compared with is sent to Rekognition and stored nowhere.
 */
export async function erasePerson(context: Context): Promise<Result> {
  const { args, deployment, progress } = context;
  const eventId = args.event!;
  await checkEvent(deployment, eventId);
  progress.step('Searching');
  const search = args.face ? () => searchByFace(context) : await searchByPicture(context);
  const matches = await search();
  progress.stop();
  const photos = new Set(matches.map(({ photo_id }) => photo_id)).size;
  const data = { event_id: eventId, similarity: args.similarity, matches, dry_run: args.dryRun };
  if (matches.length === 0) {
    const lines = [`No face of the event is at least ${args.similarity} % similar.`];
    return { data: { ...data, receipts: [] }, lines, exitCode: 0 };
  }
  const shown = await matchLines(context, matches);
  const plan = `${count(matches.length, 'face')} in ${count(photos, 'photo')}`;
  if (args.dryRun) {
    return { data, lines: [...shown, `Would erase ${plan}.`], exitCode: 0 };
  }
  context.show(shown);
  if (!(await context.confirm(`Erase ${plan}, for good?`))) {
    return { data: { ...data, receipts: [] }, lines: ['Nothing was erased.'], exitCode: 1 };
  }
  progress.step('Erasing');
  const executionArns: string[] = [];
  for (const some of chunksOf(matches, MAX_PERSON_FACES)) {
    const faces = some.map(requestedFace);
    executionArns.push(await startErasure(deployment, { request: 'person', event_id: eventId, faces }));
  }
  if (!args.wait) {
    return {
      data: { ...data, receipts: [] },
      lines: executionArns.map((arn) => `Started ${arn}.`),
      exitCode: 0,
    };
  }
  const receipts = (await Promise.all(executionArns.map((arn) => waitForReceipts(deployment, arn)))).flat();
  // A named face is gone now, and finds nothing any more.
  const left = args.face ? 0 : (await search()).length;
  progress.stop();
  const under_way = await countUnderWay(context);
  const { lines, exitCode } = receiptLines(receipts, context.columns);
  return {
    data: { ...data, receipts, left, under_way },
    lines: [
      ...lines,
      ...(under_way > 0
        ? [
            `${count(under_way, 'photo')} of the event ${under_way === 1 ? 'is' : 'are'} still to be indexed, and nobody knows yet who is in ${under_way === 1 ? 'it' : 'them'}: run the command again after that.`,
          ]
        : []),
      ...(left > 0
        ? [`${count(left, 'face')} more were found, of photos indexed meanwhile: run the command again.`]
        : []),
    ],
    exitCode: left + under_way > 0 ? 1 : exitCode,
  };
}

/** Photos of the event that lie in the bucket and are not indexed yet. */
async function countUnderWay({ args, deployment, now }: Context): Promise<number> {
  const world = await readWorld(deployment, args.event!);
  // Up to this moment; the second covers what clocks may differ by.
  const findings = compare(world, new Date(now() + 1_000));
  return findings.filter(({ kind }) => kind === 'no_end' || kind === 'never_seen').length;
}

async function searchByPicture({ args, deployment }: Context): Promise<() => Promise<Match[]>> {
  const file = fromWorkingDirectory(args.selfie!, process.env);
  const Bytes = readPictureFile(file, MAX_IMAGE_BYTES);
  return async () => {
    const { FaceMatches: found = [] } = await searched(
      deployment.rekognition.send(
        new SearchFacesByImageCommand({
          CollectionId: collectionId(deployment.outputs, args.event!),
          Image: { Bytes },
          FaceMatchThreshold: args.similarity,
          MaxFaces: MAX_MATCHES,
        }),
      ),
      file,
    );
    return found.flatMap(matchOf);
  };
}

async function searchByFace({ args, deployment }: Context): Promise<Match[]> {
  const CollectionId = collectionId(deployment.outputs, args.event!);
  const FaceId = args.face!;
  const { rekognition } = deployment;
  const { Faces: faces = [] } = await searched(
    rekognition.send(new ListFacesCommand({ CollectionId, FaceIds: [FaceId], MaxResults: 1 })),
    `The face ${FaceId}`,
  );
  const photoId = faces[0]?.ExternalImageId;
  if (!isUuid(photoId)) {
    throw new UserError(`No photo of the event ${args.event} has the face ${FaceId}.`, 1);
  }
  const { FaceMatches: found = [] } = await searched(
    rekognition.send(
      new SearchFacesCommand({
        CollectionId,
        FaceId,
        FaceMatchThreshold: args.similarity,
        MaxFaces: MAX_MATCHES,
      }),
    ),
    `The face ${FaceId}`,
  );
  const itself = { face_id: FaceId, photo_id: photoId, similarity: null, box: faces[0]?.BoundingBox };
  return [itself, ...found.flatMap(matchOf)];
}

/** A face that names no photo was not indexed by the pipeline: it is whoever's put it there. */
function matchOf({ Face: face, Similarity: similarity = 0 }: FaceMatch): Match[] {
  return face?.FaceId && isUuid(face.ExternalImageId)
    ? [{ face_id: face.FaceId, photo_id: face.ExternalImageId, similarity, box: face.BoundingBox }]
    : [];
}

/** Where the face is in its photo is what it is known by, should the photo have to be indexed again. */
function requestedFace({ face_id, photo_id, box }: Match): PersonRequest['faces'][number] {
  const { Left, Top, Width, Height } = box ?? {};
  const sides = [Left, Top, Width, Height].map((side) => Number(side?.toFixed(5)));
  return sides.every(Number.isFinite)
    ? [face_id, photo_id, sides as [number, number, number, number]]
    : [face_id, photo_id];
}

/** The answer, or what is wrong with the question in one line. */
async function searched<Answer>(answer: Promise<Answer>, what: string): Promise<Answer> {
  try {
    return await answer;
  } catch (error) {
    const { name, message } = awsErrorDetails(error);
    switch (name) {
      case 'ResourceNotFoundException':
        throw new UserError('The event has no collection: there are no faces to erase.', 1);
      case 'InvalidImageFormatException':
        throw new UserError(`${what} is no JPEG or PNG.`, 1);
      case 'InvalidParameterException':
        throw new UserError(`${what} cannot be searched for: ${message}`, 1);
      default:
        throw error;
    }
  }
}

async function matchLines({ deployment, columns }: Context, matches: readonly Match[]): Promise<string[]> {
  const shown = matches.slice(0, MATCHES_SHOWN);
  const rows = await ask(deployment, {
    ask: 'photos',
    photo_ids: [...new Set(shown.map(({ photo_id }) => photo_id))],
  });
  const keys = new Map(rows.map(({ id, object_key }) => [id, object_key]));
  return [
    ...table(
      shown.map(({ face_id, photo_id, similarity }) => [
        similarity === null ? 'itself' : `${similarity.toFixed(1)} %`,
        face_id,
        keys.get(photo_id) ?? photo_id,
      ]),
      { columns },
    ),
    ...(matches.length > shown.length ? [`  and ${matches.length - shown.length} more`] : []),
  ];
}
