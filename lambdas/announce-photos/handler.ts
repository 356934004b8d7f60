import * as v from 'valibot';
import { parseRequest } from '../shared/contract/payloads.ts';
import { withDatabase } from '../shared/database/connection.ts';
import { eventOwnersFromEnvironment } from '../shared/line/environment.ts';
import { lambdaHandler, telemetry } from '../shared/runtime/telemetry.ts';
import { announcePhotos } from './announce-photos.ts';

const deps = { telemetry, withDatabase, owners: eventOwnersFromEnvironment() };

/** A batch of a queue: https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html#example-standard-queue-message-event */
const batchSchema = v.object({ Records: v.array(v.object({ messageId: v.string(), body: v.string() })) });

/** Called by the queue of announcements. */
export const handler = lambdaHandler<object>((request) =>
  announcePhotos(deps, parseRequest(batchSchema, request).Records),
);
