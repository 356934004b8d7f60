/** The local Rekognition, over the photos of the local S3. */
import { RekognitionClient } from '@aws-sdk/client-rekognition';
import type { S3Client } from '@aws-sdk/client-s3';
import { localClientOptions } from '../clients.ts';
import { freeOr } from '../postgres.ts';
import { startRekognition } from '../rekognition/server.ts';
import { rekognitionOf } from '../stand-ins.ts';
import type { Setup } from './setup.ts';

export interface FaceService {
  endpoint: string;
  /** A client on it. */
  client: RekognitionClient;
  /** Calls of an operation within the quota since the start. */
  acceptedCalls(operation: string): number;
}

export async function startFaceService({ options, onStop }: Setup, s3: S3Client): Promise<FaceService> {
  const server = await startRekognition({
    ...options.rekognition,
    port: await freeOr(options.ports?.rekognition),
    ...rekognitionOf(options.stateDir, s3),
  });
  onStop('services', server.close);
  // What waits for Rekognition fails at once, and is not waited for.
  onStop('state machines', (abort) => (abort ? server.close() : undefined));
  const client = new RekognitionClient({ ...localClientOptions, endpoint: server.endpoint });
  onStop('services', () => client.destroy());
  return {
    endpoint: server.endpoint,
    client,
    acceptedCalls: (operation) =>
      (server.calls() as Record<string, { accepted: number }>)[operation]?.accepted ?? 0,
  };
}
