import { IdempotencyConfig, makeIdempotent } from '@aws-lambda-powertools/idempotency';
import { DynamoDBPersistenceLayer } from '@aws-lambda-powertools/idempotency/dynamodb';
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import type { Context } from 'aws-lambda';
import { idempotencyError } from './aws-errors.ts';

/**
 * S3 and EventBridge redeliver for a day, and an operator replays dead letters for two weeks: a photo version is
 * recognised for longer than either.
 */
const PHOTO_RECORD_SECONDS = 30 * 24 * 3600;

/** A collection deleted behind our back is noticed by IndexFaces, so this only saves calls. */
const COLLECTION_RECORD_SECONDS = 24 * 3600;

export interface IdempotentOptions {
  dynamodb: DynamoDBClient;
  table: string;
  /** Keeps the records of two functions apart in one table. */
  prefix: 'collection' | 'photo';
}

type Json = string | number | boolean | null | undefined | Json[] | { [key: string]: Json };

/**
 * Runs `work` once for each `key`: a second call with the same key is answered with the first one's result, a
 * concurrent one throws `IdempotencyAlreadyInProgressError`, and a failed one leaves no record. The record of a
 * Lambda that died frees itself when that Lambda would have timed out.
 *
 * @throws PipelineError `IdempotencyAlreadyInProgressError`, `IdempotencyStoreUnavailable`, `AccessDenied`, and what
 *   `work` throws
 */
export function idempotent<Result extends Json>(options: IdempotentOptions) {
  const persistenceStore = new DynamoDBPersistenceLayer({
    tableName: options.table,
    awsSdkV3Client: options.dynamodb,
  });
  return async (context: Context, key: string, work: () => Promise<Result>): Promise<Result> => {
    const config = new IdempotencyConfig({
      throwOnNoIdempotencyKey: true,
      hashFunction: 'sha256',
      expiresAfterSeconds: options.prefix === 'photo' ? PHOTO_RECORD_SECONDS : COLLECTION_RECORD_SECONDS,
      // In front of every photo of an event: a warm function answers without a request to DynamoDB.
      useLocalCache: options.prefix === 'collection',
      lambdaContext: context,
    });
    const once = makeIdempotent(async (_key: string) => work(), {
      persistenceStore,
      config,
      keyPrefix: options.prefix,
    });
    try {
      return (await once(key)) as Result;
    } catch (error) {
      throw idempotencyError(error);
    }
  };
}
