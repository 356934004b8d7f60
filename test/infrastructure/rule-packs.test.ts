import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { parseConfig } from '../../lib/config.ts';
import { certificateAuthority } from '../support/certificate-authority.ts';
import { buildApp, synthesise } from '../support/synth.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'rollcall-authority-'));
const AUTHORITY = path.join(folder, 'authority.pem');
writeFileSync(AUTHORITY, (await certificateAuthority()).cert);
afterAll(() => rmSync(folder, { recursive: true }));

const SECRET = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbC123';

/** Together they set every option to something else than its default. */
const configurations: [string, Record<string, unknown>][] = [
  ['defaults', {}],
  ['a try-out', { removal: 'destroy', tracing: true, auroraMinCapacity: 0.5, auroraMaxCapacity: 16 }],
  [
    'an external database',
    {
      database: 'external',
      databaseSecretArn: SECRET,
      databaseCaCertificate: AUTHORITY,
      databaseSchema: 'faces',
      photoBucketVersioned: true,
      collectionPrefix: 'fest-',
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
      criticalEmails: ['oncall@example.org'],
      warningEmails: ['team@example.org'],
      alarmThresholds: { spendTodayUsd: 50 },
      runbookUrl: 'https://example.org/runbook',
      monthlyBudgetUsd: 100,
      dailyImageCap: 1_000,
      reconcileMaxImages: 10,
      abandonedCollectionDays: 30,
      indexFacesPerSecond: 20,
      faceRetentionDays: 7,
      resultsRetentionDays: 7,
      logRetentionDays: 7,
      logLevel: 'DEBUG',
      tags: { team: 'photos' },
    },
  ],
];

test.each(configurations)(
  'AwsSolutions, Serverless and the checks of cfn-lint pass with %s',
  (_, rollcall) => {
    const outdir = mkdtempSync(path.join(tmpdir(), 'rollcall-rule-packs-'));
    try {
      expect(() => synthesise({ context: { rollcall }, outdir, validate: true })).not.toThrow();
      // A warning does not fail the synthesis.
      const report = path.join(outdir, 'validation-report.json');
      expect(existsSync(report) ? violations(readFileSync(report, 'utf8')) : []).toEqual([]);
    } finally {
      rmSync(outdir, { recursive: true });
    }
  },
);

test('every option is among them', () => {
  const given = new Set(configurations.flatMap(([, rollcall]) => Object.keys(rollcall)));
  expect(Object.keys(parseConfig()).filter((option) => !given.has(option))).toEqual([]);
});

/** What the report says about the template, with reasons that were not accepted. */
function violations(report: string): string[] {
  const { pluginReports } = JSON.parse(report) as {
    pluginReports: { violations?: { ruleName: string }[] }[];
  };
  return pluginReports.flatMap(({ violations: found = [] }) => found.map(({ ruleName }) => ruleName));
}

test('a violation fails the synthesis', () => {
  const withOpenBucket = () => synthesise({ change: (stack) => void new Bucket(stack, 'Open') });
  expect(withOpenBucket).toThrow(/AwsSolutions-S1/);
});

describe('the warning about a slow quota', () => {
  const warnings = (rollcall: Record<string, unknown>, likelyRegion?: string) =>
    buildApp({ context: { rollcall }, ...(likelyRegion && { likelyRegion }) })
      .stack.node.metadata.filter(({ type }) => type === 'aws:cdk:warning')
      .map(({ data }) => String(data));

  test('is not there by default, nor for a fast Region or rate', () => {
    expect(warnings({})).toEqual([]);
    expect(warnings({}, 'eu-west-1')).toEqual([]);
    expect(warnings({ indexFacesPerSecond: 20 }, 'eu-central-1')).toEqual([]);
  });

  test('says what 5 calls a second mean for 1,000 photos', () => {
    expect(warnings({ indexFacesPerSecond: 5 })).toEqual([
      expect.stringMatching(/indexFacesPerSecond is 5 .* 1,000 photos take at least 200 s/),
    ]);
    expect(warnings({}, 'eu-central-1')).toEqual([
      expect.stringMatching(/default quota in eu-central-1 is 5 .* 1,000 photos take at least 200 s/),
    ]);
  });

  test('does the sum for a slower rate', () => {
    expect(warnings({ indexFacesPerSecond: 0.5 })).toEqual([expect.stringContaining('at least 2000 s')]);
  });
});
