/** `--find`: which of the photos show a person. The picture of the person goes to find-person, as on AWS, and nowhere else. */
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { allPages } from '../../cli/pages.ts';
import { readPictureFile } from '../../cli/picture-file.ts';
import { count, displayWidth, pad, printable, truncateMiddle } from '../../cli/text.ts';
import { fromWorkingDirectory } from '../../cli/working-directory.ts';
import { type FindPersonAnswer, MAX_FOUND, MAX_SELFIE_BYTES } from '../../lambdas/shared/contract/search.ts';
import { selfieRefusal } from '../../lambdas/shared/contract/selfie.ts';
import { localClientOptions } from '../clients.ts';
import type { Cloud } from '../cloud.ts';
import type { Photo } from './photo-list.ts';
import type { Found, Paint } from './report.ts';

/**
 * The picture of a person, before anything else is begun.
 *
 * @throws UserError (exit code 2) when it is missing or cannot be searched with
 */
export function readSelfie(file: string, env: Readonly<Record<string, string | undefined>>): Buffer {
  return readPictureFile(fromWorkingDirectory(file, env), MAX_SELFIE_BYTES, selfieRefusal);
}

/** The photos of the person. A search that fails says so: the photos are indexed all the same. */
export async function findPerson(
  cloud: Pick<Cloud, 'services' | 'outputs'>,
  { eventId, photos }: { eventId: string; photos: readonly Photo[] },
  selfie: Buffer,
): Promise<Found> {
  const files = new Map(photos.map(({ photoId, file }) => [photoId, file]));
  const lambda = new LambdaClient({ ...localClientOptions, endpoint: cloud.services.endpoints.lambda });
  try {
    const pages = await allPages((from) =>
      ask(lambda, cloud.outputs.FindPersonFunctionName!, {
        event_id: eventId,
        image: selfie.toString('base64'),
        limit: MAX_FOUND,
        reference: 'npm start',
        ...from,
      }),
    );
    const { reason, message, similarity } = pages.at(-1)!;
    return {
      photos: pages.flatMap((page) =>
        page.photos.map((photo) => ({
          file: files.get(photo.photo_id) ?? null,
          photoId: photo.photo_id,
          similarity: photo.similarity,
        })),
      ),
      reason,
      message,
      similarity,
      isAnswered: reason === null || reason === 'NobodyFound',
    };
  } catch (error) {
    if (!(error instanceof SearchFailure)) {
      throw error;
    }
    const message = `The search failed: ${error.message}. The photos are indexed: the same command searches again.`;
    return { photos: [], reason: 'SearchFailed', message, similarity: null, isAnswered: false };
  } finally {
    lambda.destroy();
  }
}

/** The function answered with an error. */
class SearchFailure extends Error {
  override readonly name = 'SearchFailure';
}

async function ask(lambda: LambdaClient, name: string, request: object): Promise<FindPersonAnswer> {
  const { FunctionError: failed, Payload: payload } = await lambda.send(
    new InvokeCommand({ FunctionName: name, Payload: JSON.stringify(request) }),
  );
  const answer: unknown = JSON.parse(Buffer.from(payload ?? []).toString('utf8'));
  if (failed) {
    const { errorType, errorMessage } = answer as { errorType?: string; errorMessage?: string };
    throw new SearchFailure(`${errorType}: ${errorMessage}`);
  }
  return answer as FindPersonAnswer;
}

const GAP = '  ';

/** The photos of the person, the most similar first; or why there are none. */
export function renderFound({ photos, message }: Found, paint: Paint, columns: number | undefined): string {
  if (photos.length === 0) {
    return `${GAP}${paint('yellow', message ?? '')}\n`;
  }
  const names = photos.map(({ file, photoId }) => printable(file ?? photoId));
  const width = Math.min(
    Math.max(...names.map(displayWidth)),
    columns === undefined ? Number.POSITIVE_INFINITY : Math.max(columns - 14, 12),
  );
  return [
    `${GAP}${paint('bold', `${count(photos.length, 'photo')} of this person`)}\n`,
    ...names.map(
      (name, i) =>
        `${GAP}${pad(truncateMiddle(name, width), width)}${GAP}${photos[i]!.similarity.toFixed(1)} %\n`,
    ),
  ].join('');
}
