import {
  DeleteCollectionCommand,
  DescribeCollectionCommand,
  ListFacesCommand,
  type RekognitionClient,
} from '@aws-sdk/client-rekognition';
import type { _Object, S3Client } from '@aws-sdk/client-s3';
import { PipelineError } from '../shared/contract/errors.ts';
import { logEvents } from '../shared/contract/names.ts';
import { eventResultsFolder } from '../shared/contract/stored-result.ts';
import type { StoredObject } from '../shared/photos/execution-input.ts';
import {
  abandonedKey,
  batchKey,
  MEMORY_KEY,
  type Memory,
  type Plan,
  planKey,
  type Reconciliation,
  type SurveyEventsRequest,
  type SurveyedEvent,
} from '../shared/reconciliation/contract.ts';
import { unlessGone } from '../shared/rekognition/unless-gone.ts';
import type { Telemetry } from '../shared/runtime/telemetry.ts';
import { headObject } from '../shared/storage/head-object.ts';
import type { JsonObjects } from '../shared/storage/json-objects.ts';
import { listPages } from '../shared/storage/list-pages.ts';

export interface SurveyEventsDeps {
  rekognition: RekognitionClient;
  s3: S3Client;
  objects: JsonObjects;
  telemetry: Pick<Telemetry, 'logger'>;
  /** Resolves when the next call to Rekognition may be made. */
  pace(): Promise<void>;
  photoBucket: string;
  resultsBucket: string;
  /** Whether the photo bucket has versions, whose ids a listing does not tell. */
  versioned: boolean;
  collectionPrefix: string;
  abandonedDays: number;
}

/** https://docs.aws.amazon.com/rekognition/latest/APIReference/API_ListFaces.html */
const FACES_A_CALL = 4_096;
const HEADS_AT_ONCE = 16;
/** At five calls a second and two calls each, well within the function's time. */
const MAX_COLLECTIONS = 300;

const DAY_MS = 24 * 3_600_000;

/**
 * Reads collections, photo bucket and stored responses, and writes what they know into the results bucket; or deletes
 * collections that belong to no event any more.
 *
 * @throws PipelineError `RekognitionThrottled`, `RekognitionUnavailable`, `StorageUnavailable`, `AccessDenied`,
 *   `MissingConfiguration`
 */
export async function surveyEvents(
  deps: SurveyEventsDeps,
  { step, input }: SurveyEventsRequest,
): Promise<Reconciliation> {
  const plan = await deps.objects.get<Plan>(planKey(input.run));
  if (step === 'collections') {
    await removeAbandoned(deps, plan, input);
    return { ...input, next: 'conclude' };
  }
  const survey: Record<string, SurveyedEvent> = {};
  for (const { id, folders } of plan.batches[input.batch] ?? []) {
    // The collection first: an object that is deleted in between takes its faces along later.
    const collection = await facesOf(deps, `${deps.collectionPrefix}${id}`);
    const objects: StoredObject[] = [];
    for (const folder of folders) {
      for await (const { Key, ETag, Size, LastModified } of list(deps, deps.photoBucket, folder)) {
        const etag = ETag!.replaceAll('"', '');
        objects.push({ key: Key!, etag, size: Size ?? 0, uploadedAt: timeOf(LastModified) });
      }
    }
    const responses: SurveyedEvent['responses'] = [];
    for await (const { Key, LastModified } of list(deps, deps.resultsBucket, eventResultsFolder(id))) {
      responses.push({ key: Key!, storedAt: timeOf(LastModified) });
    }
    survey[id] = {
      collection,
      objects: deps.versioned ? await withVersions(deps, objects) : objects,
      responses,
    };
  }
  await deps.objects.put(batchKey(input.run, input.batch, 'survey'), survey);
  return input;
}

async function facesOf(deps: SurveyEventsDeps, CollectionId: string): Promise<SurveyedEvent['collection']> {
  const faces: [string, string | null][] = [];
  let NextToken: string | undefined;
  do {
    const page = await unlessGone(deps, () =>
      deps.rekognition.send(
        new ListFacesCommand({ CollectionId, MaxResults: FACES_A_CALL, ...(NextToken && { NextToken }) }),
      ),
    );
    if (!page) {
      return null;
    }
    for (const { FaceId, ExternalImageId } of page.Faces ?? []) {
      faces.push([FaceId!, ExternalImageId ?? null]);
    }
    NextToken = page.NextToken;
  } while (NextToken);
  return faces;
}

async function* list({ s3 }: SurveyEventsDeps, Bucket: string, Prefix: string): AsyncGenerator<_Object> {
  for await (const { Contents: contents = [] } of listPages(s3, { Bucket, Prefix })) {
    yield* contents;
  }
}

function timeOf(lastModified: Date | undefined): string {
  return (lastModified ?? new Date(0)).toISOString();
}

/** As they are now; one that was deleted since it was listed, or that nobody can read, is left as it was. */
async function withVersions(
  { s3, photoBucket }: SurveyEventsDeps,
  objects: readonly StoredObject[],
): Promise<StoredObject[]> {
  const found = [...objects];
  const queue = found.entries();
  await Promise.all(
    Array.from({ length: HEADS_AT_ONCE }, async () => {
      for (const [index, object] of queue) {
        try {
          const { VersionId } = await headObject(
            s3,
            { bucket: photoBucket, key: object.key },
            'InvalidS3Object',
          );
          found[index] = { ...object, ...(VersionId && { versionId: VersionId }) };
        } catch (error) {
          if (!(error instanceof PipelineError && error.name === 'InvalidS3Object')) {
            throw error;
          }
        }
      }
    }),
  );
  return found;
}

/**
 * Deletes collections that have been without an event for days, and remembers the others. One whose number of faces changes
 * is somebody's: the days begin anew.
 */
async function removeAbandoned(
  deps: SurveyEventsDeps,
  { abandoned }: Plan,
  { run, as_of }: Reconciliation,
): Promise<void> {
  const before = (await deps.objects.find<Memory>(MEMORY_KEY))?.abandoned ?? {};
  const left: Memory['abandoned'] = {};
  for (const [index, id] of abandoned.entries()) {
    const CollectionId = `${deps.collectionPrefix}${id}`;
    const known = before[id];
    if (index >= MAX_COLLECTIONS) {
      if (known) {
        left[id] = known;
      }
      continue;
    }
    const described = await unlessGone(deps, () =>
      deps.rekognition.send(new DescribeCollectionCommand({ CollectionId })),
    );
    if (!described) {
      continue;
    }
    const faces = described.FaceCount ?? 0;
    const since = known?.faces === faces ? known.since : as_of;
    if (Date.parse(as_of) - Date.parse(since) < deps.abandonedDays * DAY_MS) {
      left[id] = { since, faces };
      continue;
    }
    await unlessGone(deps, () => deps.rekognition.send(new DeleteCollectionCommand({ CollectionId })));
    deps.telemetry.logger.warn('A collection without an event was deleted', {
      event: logEvents.collectionDeleted,
      collection_id: CollectionId,
      count: faces,
      since,
    });
  }
  await deps.objects.put(abandonedKey(run), left);
}
