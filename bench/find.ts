/**
 * `npm run bench:find -- FOLDER`: how well the local engine finds people, at several similarities, on labelled photos: one
 * subfolder for each person. Each photo is a selfie once, and searched for among all the others.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import {
  CreateCollectionCommand,
  type FaceMatch,
  IndexFacesCommand,
  RekognitionClient,
  SearchFacesByImageCommand,
} from '@aws-sdk/client-rekognition';
import { fromWorkingDirectory } from '../cli/working-directory.ts';
import { localClientOptions } from '../local/clients.ts';
import { startRekognition } from '../local/rekognition/server.ts';
import { goalsOf, renderGuests, simulateGuests } from './find/guests.ts';
import { type LabelledPhoto, type Outcome, renderScores, type Search, scoresAt } from './find/scores.ts';

const USAGE = `npm run bench:find -- FOLDER [options]
npm run bench:find -- --case guests [--seed N]

  FOLDER               labelled photos: a subfolder for each person, with JPEGs or PNGs of which that person is the largest face
  --similarity N[,N…]  from which likeness on a face counts: 80,85,90,95,97,99
  --json               the last line of stdout is one JSON object
  --case guests        500 guests search within a minute while 3,000 photos are indexed, in virtual time, at 50 and at 5 a second;
                       the last line is one JSON object with the goals, and whether each holds
  --seed N             of the guests' chances (1)
`;

const COLLECTION = 'bench';

process.exitCode = await main();

async function main(): Promise<number> {
  let folder: string | undefined;
  let values: { similarity?: string; json?: boolean; case?: string; seed?: string; help?: boolean };
  try {
    const parsed = parseArgs({
      allowPositionals: true,
      options: {
        similarity: { type: 'string' },
        json: { type: 'boolean' },
        case: { type: 'string' },
        seed: { type: 'string' },
        help: { type: 'boolean' },
      },
    });
    ({ values } = parsed);
    [folder] = parsed.positionals;
  } catch (error) {
    process.stderr.write(`${(error as Error).message.split('\n')[0]}\n\n${USAGE}`);
    return 2;
  }
  const similarities = (values.similarity ?? '80,85,90,95,97,99').split(',').map(Number);
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (values.case === 'guests' && /^\d{1,9}$/.test(values.seed ?? '1')) {
    return guests(Number(values.seed ?? 1));
  }
  if (
    values.case !== undefined ||
    folder === undefined ||
    similarities.some((similarity) => !(similarity >= 0 && similarity <= 100))
  ) {
    process.stderr.write(USAGE);
    return 2;
  }
  const photos = readLabelled(fromWorkingDirectory(folder, process.env));
  if (new Set(photos.map(({ person }) => person)).size < 2) {
    process.stderr.write(`${folder} has no subfolders with pictures of two people or more.\n`);
    return 2;
  }
  const searches = await measure(photos, Math.min(...similarities));
  const scores = similarities.map((similarity) => scoresAt(photos, searches, similarity));
  process.stdout.write(renderScores(photos, searches, scores));
  if (values.json) {
    process.stdout.write(`${JSON.stringify({ photos: photos.length, scores })}\n`);
  }
  return 0;
}

async function guests(seed: number): Promise<number> {
  const results = [
    await simulateGuests({ perSecond: 50, seed }),
    await simulateGuests({ perSecond: 5, seed }),
  ];
  const goals = results.map((result) => ({ per_second: result.per_second, goals: goalsOf(result) }));
  const holds = goals.every(({ goals: of }) => Object.values(of).every(Boolean));
  process.stdout.write(renderGuests(results));
  process.stdout.write(`${JSON.stringify({ case: 'guests', seed, results, goals, holds })}\n`);
  return holds ? 0 : 1;
}

function readLabelled(folder: string): LabelledPhoto[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name: person }) =>
      readdirSync(path.join(folder, person))
        .filter((file) => /\.(jpe?g|png)$/i.test(file))
        .sort()
        .map((file) => ({ person, file: path.join(folder, person, file) })),
    );
}

/** Indexes all photos in one collection, as the pipeline does, and searches with each as find-person does. */
async function measure(photos: readonly LabelledPhoto[], threshold: number): Promise<Search[]> {
  const dataDir = mkdtempSync(path.join(tmpdir(), 'rollcall-bench-find-'));
  const server = await startRekognition({
    dataDir,
    quotas: { IndexFaces: Number.POSITIVE_INFINITY, SearchFacesByImage: Number.POSITIVE_INFINITY },
    getObject: () => Promise.reject(new Error('The photos come with the requests')),
  });
  const rekognition = new RekognitionClient({ ...localClientOptions, endpoint: server.endpoint });
  try {
    await rekognition.send(new CreateCollectionCommand({ CollectionId: COLLECTION }));
    for (const [i, { file }] of photos.entries()) {
      process.stderr.write(`\rIndexing ${i + 1}/${photos.length}`);
      await rekognition
        .send(
          new IndexFacesCommand({
            CollectionId: COLLECTION,
            Image: { Bytes: readFileSync(file) },
            ExternalImageId: String(i),
            QualityFilter: 'AUTO',
          }),
        )
        // A photo that cannot be indexed is one that nobody finds: it counts.
        .catch(() => {});
    }
    const searches: Search[] = [];
    for (const [i, { file }] of photos.entries()) {
      process.stderr.write(`\rSearching ${i + 1}/${photos.length}`);
      searches.push(await search(rekognition, i, readFileSync(file), threshold));
    }
    process.stderr.write('\r\u001b[K');
    return searches;
  } finally {
    rekognition.destroy();
    await server.close();
    rmSync(dataDir, { recursive: true });
  }
}

async function search(
  rekognition: RekognitionClient,
  photo: number,
  Bytes: Buffer,
  threshold: number,
): Promise<Search> {
  try {
    const { FaceMatches: matches = [] } = await rekognition.send(
      new SearchFacesByImageCommand({
        CollectionId: COLLECTION,
        Image: { Bytes },
        FaceMatchThreshold: threshold,
        MaxFaces: 4_096,
        QualityFilter: 'AUTO',
      }),
    );
    return { photo, outcomes: outcomesOf(photo, matches) };
  } catch {
    return { photo, outcomes: undefined };
  }
}

/** The other photos by their most similar face, the most similar first. */
function outcomesOf(photo: number, matches: readonly FaceMatch[]): Outcome[] {
  const best = new Map<number, number>();
  for (const { Face: face, Similarity: similarity = 0 } of matches) {
    const found = Number(face?.ExternalImageId);
    if (found !== photo) {
      best.set(found, Math.max(similarity, best.get(found) ?? 0));
    }
  }
  return [...best]
    .map(([found, similarity]) => ({ photo: found, similarity }))
    .sort((a, b) => b.similarity - a.similarity);
}
