/** S3 and SQS. */
import { S3Client } from '@aws-sdk/client-s3';
import { localClientOptions } from '../clients.ts';
import type { BusEvent } from '../event-router.ts';
import { type ObjectStore, startObjectStore } from '../object-store.ts';
import { freeOr } from '../postgres.ts';
import type { Setup } from './setup.ts';

export interface Storage {
  objects: ObjectStore;
  /** A client on it. */
  s3: S3Client;
}

/** @param publish gets the events of the buckets */
export async function startStorage(
  { options, inState, onStop }: Setup,
  publish: (event: BusEvent) => void,
): Promise<Storage> {
  const objects = await startObjectStore(inState('s3'), publish, {
    port: await freeOr(options.ports?.s3),
    keeps: options.keeps ?? true,
  });
  onStop('services', objects.stop);
  const s3 = new S3Client({ ...localClientOptions, endpoint: objects.endpoint, forcePathStyle: true });
  onStop('services', () => s3.destroy());
  return { objects, s3 };
}
