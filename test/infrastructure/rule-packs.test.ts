import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseConfig } from '../../lib/config/config.ts';
import { certificateAuthority } from '../support/certificate-authority.ts';
import { SECRET } from '../support/configurations.ts';
import { synthesisedOnce } from '../support/synthesised.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'rollcall-authority-'));
const AUTHORITY = path.join(folder, 'authority.pem');
writeFileSync(AUTHORITY, (await certificateAuthority()).cert);
afterAll(() => rmSync(folder, { recursive: true }));

/** Together they set every option to something else than its default. */
const configurations: [string, Record<string, unknown>][] = [
  ['defaults', {}],
  [
    'a try-out on an external database',
    {
      removal: 'destroy',
      database: 'external',
      databaseSecretArn: SECRET,
      databaseCaCertificate: AUTHORITY,
      databaseSchema: 'faces',
      photoBucketVersioned: true,
      collectionPrefix: 'fest-',
      eventsFolder: 'uploads/',
      api: 'none',
      lambdaReservedConcurrency: 5,
      detectionAttributes: ['ALL'],
      qualityFilter: 'NONE',
      maxFaces: 10,
      rekognitionResponse: 'minimal',
    },
  ],
  [
    'a protected stage of a platform',
    {
      stage: 'live',
      deletionProtection: true,
      slotLedgerTableArn: 'arn:aws:dynamodb:us-east-1:123456789012:table/Rollcall-SlotLedger',
      photoBucketKeyArn: 'arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab',
      photoBucketVersioned: true,
      uploadOrigins: ['https://app.example.org'],
      uploadAccounts: ['210987654321'],
      tracing: true,
      availabilityZones: ['us-east-1b', 'us-east-1c', 'us-east-1d'],
      auroraBackupDays: 35,
      auroraMinCapacity: 0.5,
      auroraMaxCapacity: 16,
      criticalEmails: ['oncall@example.org'],
      warningEmails: ['team@example.org'],
      alarmThresholds: { spendTodayUsd: 50 },
      runbookUrl: 'https://example.org/runbook',
      monthlyBudgetUsd: 100,
      dailyImageCap: 1_000,
      dailyImagesPerPhotographer: 200,
      reconcileMaxImages: 10,
      abandonedCollectionDays: 30,
      indexFacesPerSecond: 20,
      faceRetentionDays: 7,
      searchFacesPerSecond: 2,
      dailySearchCap: 500,
      searchesPerEventHour: 100,
      searchesPerCallerHour: 10,
      searchRetentionDays: 7,
      resultsRetentionDays: 7,
      logRetentionDays: 7,
      logLevel: 'DEBUG',
      tags: { team: 'photos' },
    },
  ],
];

/** Options and Region with the pace that the stack is warned of, if any. */
const paces: [Record<string, unknown>, string | undefined, RegExp | undefined][] = [
  [{}, undefined, undefined],
  [{}, 'eu-west-1', undefined],
  [{ indexFacesPerSecond: 20 }, 'eu-central-1', undefined],
  [{ indexFacesPerSecond: 5 }, undefined, /indexFacesPerSecond is 5 .* 1,000 photos take at least 200 s/],
  [{}, 'eu-central-1', /default quota in eu-central-1 is 5 .* 1,000 photos take at least 200 s/],
  [{ indexFacesPerSecond: 0.5 }, undefined, /at least 2000 s/],
];

const outcomes = synthesisedOnce([
  ...configurations.map(([, rollcall]) => ({ rollcall, validate: true })),
  { rollcall: {}, openBucket: true },
  ...paces.map(([rollcall, likelyRegion]) => ({ rollcall, ...(likelyRegion && { likelyRegion }) })),
]);
const validated = outcomes.slice(0, configurations.length);
const violating = outcomes[configurations.length]!;
const paced = outcomes.slice(configurations.length + 1);

test.each(configurations.map(([name], index) => [name, validated[index]!] as const))(
  'AwsSolutions, Serverless and the checks of cfn-lint pass with %s',
  (_, { error, violations }) => {
    expect(error).toBeNull();
    // A warning does not fail the synthesis.
    expect(violations).toEqual([]);
  },
);

test('every option is among them', () => {
  const given = new Set(configurations.flatMap(([, rollcall]) => Object.keys(rollcall)));
  expect(Object.keys(parseConfig()).filter((option) => !given.has(option))).toEqual([]);
});

test('a violation fails the synthesis', () => {
  expect(violating.error).toMatch(/Validation failed/);
  expect(violating.violations).toContain('AwsSolutions-S1');
});

test.each(paces.map((pace, index) => [...pace, paced[index]!.warnings] as const))(
  'the warning about a slow quota with %j in Region %s: %s',
  (_, __, warning, warnings) => {
    expect(warnings).toEqual(warning ? [expect.stringMatching(warning)] : []);
  },
);
