/**
 * What test files have synthesised, in one place, so that the first of them that finds a template missing makes them all in
 * one process: loading the CDK takes longer than ten templates.
 */
import { defaultAlarmThresholds } from '../../lib/observability/alarm-thresholds.ts';

export const SECRET = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbC123';
export const LEDGER = 'arn:aws:dynamodb:eu-west-1:123456789012:table/Rollcall-SlotLedger83ED48C5-1ABC';
export const KEY = 'arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab';

const external = { database: 'external', databaseSecretArn: SECRET };

/** With everything that may be called, and everything that goes with the stack. */
const tryOut = { removal: 'destroy', dailyImagesPerPhotographer: 500 };

/** Options over the defaults, by what they are for. */
export const configurations = {
  defaults: {},
  external,
  tryOut,
  externalTryOut: { ...external, ...tryOut },
  everyRight: { tracing: true, photoBucketVersioned: true, photoBucketKeyArn: KEY, removal: 'destroy' },
  otherwise: {
    removal: 'destroy',
    photoBucketVersioned: true,
    resultsRetentionDays: 3,
    logRetentionDays: 7,
    indexFacesPerSecond: 20,
    dailyImageCap: 1_000,
    qualityFilter: 'NONE',
    maxFaces: 15,
    detectionAttributes: ['DEFAULT', 'SMILE'],
    collectionPrefix: 'fest-',
    lambdaReservedConcurrency: 7,
    tracing: true,
    logLevel: 'DEBUG',
    auroraMinCapacity: 0.5,
    auroraMaxCapacity: 16,
    auroraBackupDays: 14,
    tags: { team: 'photos' },
  },
  protected: { deletionProtection: true },
  uploaders: { uploadAccounts: ['210987654321', '444444444444'] },
  uploadOrigins: { uploadOrigins: ['https://app.example.org'] },
  reconciliation: { reconcileMaxImages: 0, abandonedCollectionDays: 30 },
  runbook: { runbookUrl: 'https://example.org/runbook' },
  doubledThresholds: {
    alarmThresholds: Object.fromEntries(
      Object.entries(defaultAlarmThresholds).map(([name, value]) => [name, 2 * value]),
    ),
  },
  mails: { criticalEmails: ['a@example.org'], warningEmails: ['b@example.org'] },
  budget: { monthlyBudgetUsd: 500 },
  withoutApi: { api: 'none' },
  photographerCapsAlone: { dailyImagesPerPhotographer: 500, api: 'none' },
  stage: { stage: 'test', monthlyBudgetUsd: 500 },
  sharingStage: { stage: 'test', slotLedgerTableArn: LEDGER },
} satisfies Record<string, object>;
