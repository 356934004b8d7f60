import { setTimeout as sleep } from 'node:timers/promises';
import { RekognitionClient } from '@aws-sdk/client-rekognition';
import { clientOptions } from '../shared/clients.ts';
import { parseRequest } from '../shared/contract.ts';
import { requireEnv } from '../shared/environment.ts';
import { PipelineError } from '../shared/errors.ts';
import { environmentNames } from '../shared/names.ts';
import { evenPace, LISTINGS_PER_SECOND } from '../shared/pace.ts';
import { lambdaHandler, telemetry } from '../shared/telemetry.ts';
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
