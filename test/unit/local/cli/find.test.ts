import { createServer } from 'node:http';
import { findPerson, renderFound } from '../../../../local/cli/find.ts';
import type { Cloud } from '../../../../local/cloud.ts';
import { listenOnLoopback } from '../../../../local/loopback.ts';

/** A Lambda service whose function answers this. */
async function withFunction<Result>(
  { body, failed }: { body: object; failed?: boolean },
  work: (cloud: Pick<Cloud, 'services' | 'outputs'>) => Promise<Result>,
): Promise<Result> {
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(200, failed ? { 'x-amz-function-error': 'Unhandled' } : {});
    response.end(JSON.stringify(body));
  });
  const { endpoint, stop } = await listenOnLoopback(server);
  try {
    return await work({
      services: { endpoints: { lambda: endpoint } },
      outputs: { FindPersonFunctionName: 'find-person' },
    } as never);
  } finally {
    await stop();
  }
}

const folder = { eventId: 'e', photos: [{ photoId: 'p', file: 'a.jpg' }] } as never;
const plain = (_: unknown, text: string) => text;

test('a search that fails says why and what to do, and takes nothing else away', async () => {
  const body = { errorType: 'RekognitionUnavailable', errorMessage: 'no answer within 8 s' };
  const found = await withFunction({ body, failed: true }, (cloud) =>
    findPerson(cloud, folder, Buffer.from('selfie')),
  );
  expect(found).toEqual({
    photos: [],
    reason: 'SearchFailed',
    message:
      'The search failed: RekognitionUnavailable: no answer within 8 s. The photos are indexed: the same command searches again.',
    similarity: null,
    isAnswered: false,
  });
  expect(renderFound(found, plain, 80)).toBe(`  ${found.message}\n`);
});

test('photos have the names of their files, and their ids where nobody knows a file', async () => {
  const photos = [
    { photo_id: 'p', similarity: 99.5 },
    { photo_id: 'q', similarity: 90 },
  ];
  const body = { photos, reason: null, message: null, similarity: 80, cursor: null };
  const found = await withFunction({ body }, (cloud) => findPerson(cloud, folder, Buffer.from('selfie')));
  expect(found).toMatchObject({
    photos: [
      { file: 'a.jpg', photoId: 'p', similarity: 99.5 },
      { file: null, photoId: 'q', similarity: 90 },
    ],
    reason: null,
    isAnswered: true,
  });
  expect(renderFound(found, plain, 80)).toMatch(
    /2 photos of this person\n {2}a\.jpg +99\.5 %\n {2}q +90\.0 %\n$/,
  );
});
