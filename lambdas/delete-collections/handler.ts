import { setTimeout as sleep } from 'node:timers/promises';
import { RekognitionClient } from '@aws-sdk/client-rekognition';
import { PipelineError } from '../shared/contract/errors.ts';
import { environmentNames } from '../shared/contract/names.ts';
import { parseRequest } from '../shared/contract/payloads.ts';
import { evenPace, LISTINGS_PER_SECOND } from '../shared/rekognition/pace.ts';
import { clientOptions } from '../shared/runtime/clients.ts';
import { requireEnv } from '../shared/runtime/environment.ts';
import { lambdaHandler, telemetry } from '../shared/runtime/telemetry.ts';
import { deleteCollections, stackEventSchema } from './delete-collections.ts';

const rekognition = new RekognitionClient(clientOptions(30_000, 1));
const collectionPrefix = requireEnv(environmentNames.collectionPrefix);
const pace = evenPace(LISTINGS_PER_SECOND, { now: Date.now, sleep: (ms) => sleep(ms) });

export const handler = lambdaHandler((request, context) =>
  deleteCollections(
    {
      rekognition,
      telemetry,
      pace,
      collectionPrefix,
      remainingMs: () => context.getRemainingTimeInMillis(),
      respond,
    },
    parseRequest(stackEventSchema, request),
    (ms) => sleep(ms),
  ),
);

/** The URL is signed for a body without a content type. */
async function respond(url: string, body: string): Promise<void> {
  const { status } = await fetch(url, { method: 'PUT', headers: { 'content-type': '' }, body });
  if (status >= 300) {
    throw new PipelineError('StorageUnavailable', `CloudFormation's answer was refused with ${status}`);
  }
}
