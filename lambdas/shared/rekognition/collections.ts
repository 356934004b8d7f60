import { ListCollectionsCommand, type RekognitionClient } from '@aws-sdk/client-rekognition';
import { isUuid } from '../contract/photo-key.ts';
import { rekognitionError } from '../runtime/aws-errors.ts';

/** https://docs.aws.amazon.com/rekognition/latest/APIReference/API_ListCollections.html */
const COLLECTIONS_A_CALL = 4_096;

/**
 * The events that have a collection of exactly the prefix and a UUID; whatever else begins like that is somebody else's.
 *
 * @param pace resolves when the next call may be made
 * @throws PipelineError `RekognitionThrottled`, `RekognitionUnavailable`, `AccessDenied`
 */
export async function eventsWithCollection(
  rekognition: RekognitionClient,
  prefix: string,
  pace: () => Promise<void>,
): Promise<string[]> {
  const events: string[] = [];
  let NextToken: string | undefined;
  do {
    await pace();
    const page = await rekognition
      .send(new ListCollectionsCommand({ MaxResults: COLLECTIONS_A_CALL, ...(NextToken && { NextToken }) }))
      .catch((error: unknown) => {
        throw rekognitionError(error);
      });
    for (const id of page.CollectionIds ?? []) {
      const event = id.startsWith(prefix) ? id.slice(prefix.length) : undefined;
      // Rollcall writes the ids of events in lower case.
      if (isUuid(event) && event === event.toLowerCase()) {
        events.push(event);
      }
    }
    NextToken = page.NextToken;
  } while (NextToken);
  return events;
}
