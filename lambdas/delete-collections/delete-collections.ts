import { DeleteCollectionCommand, type RekognitionClient } from '@aws-sdk/client-rekognition';
import * as v from 'valibot';
import { type FailureName, PipelineError } from '../shared/contract/errors.ts';
import { eventsWithCollection } from '../shared/rekognition/collections.ts';
import { rekognitionError } from '../shared/runtime/aws-errors.ts';
import type { Telemetry } from '../shared/runtime/telemetry.ts';

/**
 * What CloudFormation sends to the function behind a custom resource, as far as it is looked at.
 * https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/crpg-ref-requests.html
 */
export const stackEventSchema = v.object({
  RequestType: v.picklist(['Create', 'Update', 'Delete']),
  ResponseURL: v.pipe(v.string(), v.url()),
  StackId: v.string(),
  RequestId: v.string(),
  LogicalResourceId: v.string(),
  PhysicalResourceId: v.optional(v.string()),
});
export type StackEvent = v.InferOutput<typeof stackEventSchema>;

export interface DeleteCollectionsDeps {
  rekognition: RekognitionClient;
  telemetry: Pick<Telemetry, 'logger'>;
  /** Resolves when the next call to Rekognition may be made. */
  pace(): Promise<void>;
  /** Milliseconds that are left to the function. */
  remainingMs(): number;
  collectionPrefix: string;
  respond(url: string, body: string): Promise<void>;
}

/** What a throttled call waits, and what is kept to answer CloudFormation. */
const THROTTLED_MS = 2_000;
const ANSWER_MS = 15_000;

/**
 * Deletes the collections of all events when their stack is deleted, and always answers: CloudFormation would wait for an
 * hour. A failed answer keeps the stack in DELETE_FAILED, and deleting it again goes on.
 */
export async function deleteCollections(
  deps: DeleteCollectionsDeps,
  event: StackEvent,
  sleep: (ms: number) => Promise<unknown>,
): Promise<void> {
  let reason: string | undefined;
  if (event.RequestType === 'Delete') {
    try {
      await deleteAll(deps, sleep);
    } catch (error) {
      reason = (error as Error).message;
      deps.telemetry.logger.error('Not all collections were deleted', { reason });
    }
  }
  const { StackId, RequestId, LogicalResourceId, PhysicalResourceId = LogicalResourceId } = event;
  await deps.respond(
    event.ResponseURL,
    JSON.stringify({
      Status: reason === undefined ? 'SUCCESS' : 'FAILED',
      ...(reason !== undefined && { Reason: reason }),
      PhysicalResourceId,
      StackId,
      RequestId,
      LogicalResourceId,
    }),
  );
}

async function deleteAll(
  deps: DeleteCollectionsDeps,
  sleep: (ms: number) => Promise<unknown>,
): Promise<void> {
  const patiently = async <Result>(call: () => Promise<Result>): Promise<Result> => {
    for (;;) {
      if (deps.remainingMs() < ANSWER_MS) {
        throw new Error('There was no time for all of the collections; delete the stack again');
      }
      try {
        return await call();
      } catch (error) {
        if (nameOf(error) !== 'RekognitionThrottled') {
          throw error;
        }
        await sleep(THROTTLED_MS);
      }
    }
  };
  const events = await patiently(() =>
    eventsWithCollection(deps.rekognition, deps.collectionPrefix, deps.pace),
  );
  for (const event of events) {
    await patiently(async () => {
      await deps.pace();
      try {
        await deps.rekognition.send(
          new DeleteCollectionCommand({ CollectionId: `${deps.collectionPrefix}${event}` }),
        );
      } catch (error) {
        // Deleted by an attempt before.
        if (nameOf(error) !== 'CollectionNotFound') {
          throw error;
        }
      }
    });
  }
}

function nameOf(error: unknown): FailureName {
  return error instanceof PipelineError ? error.name : rekognitionError(error).name;
}
