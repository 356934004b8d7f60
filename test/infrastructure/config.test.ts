import { execFile } from 'node:child_process';
import path from 'node:path';
import { RootConstruct } from 'constructs';
import fc from 'fast-check';
import {
  ConfigurationError,
  configFromContext,
  parseConfig,
  type RollcallConfig,
} from '../../lib/config/config.ts';
import { defaultAlarmThresholds } from '../../lib/observability/alarm-thresholds.ts';

const SECRET = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:faces/db-AbC123';

const TABLE = 'arn:aws:dynamodb:eu-west-1:123456789012:table/Rollcall-SlotLedger83ED48C5-1AB';
const KEY = 'arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab';

const defaults: RollcallConfig = {
  stage: undefined,
  slotLedgerTableArn: undefined,
  photoBucketKeyArn: undefined,
  availabilityZones: undefined,
  deletionProtection: false,
  indexFacesPerSecond: undefined,
  dailyImageCap: 200_000,
  dailyImagesPerPhotographer: undefined,
  qualityFilter: 'AUTO',
  maxFaces: 100,
  detectionAttributes: ['DEFAULT'],
  collectionPrefix: 'rollcall-',
  photoBucketVersioned: false,
  uploadOrigins: [],
  uploadAccounts: [],
  eventsFolder: 'events/',
  api: 'iam',
  resultsRetentionDays: 30,
  rekognitionResponse: 'full',
  faceRetentionDays: 30,
  searchFacesPerSecond: undefined,
  dailySearchCap: 50_000,
  searchesPerEventHour: 5_000,
  searchesPerCallerHour: 60,
  searchRetentionDays: 30,
  reconcileMaxImages: 100,
  abandonedCollectionDays: 7,
  logRetentionDays: 30,
  logLevel: 'INFO',
  tracing: false,
  criticalEmails: [],
  warningEmails: [],
  alarmThresholds: defaultAlarmThresholds,
  runbookUrl: 'docs/runbook.md',
  monthlyBudgetUsd: 0,
  database: 'aurora',
  databaseSecretArn: undefined,
  databaseCaCertificate: undefined,
  databaseSchema: 'rollcall',
  auroraMinCapacity: 0,
  auroraMaxCapacity: 4,
  auroraBackupDays: 7,
  lambdaReservedConcurrency: undefined,
  removal: 'retain',
  tags: { application: 'rollcall' },
};

const MAY_BE_MISSING = Object.entries(defaults)
  .filter(([, value]) => value === undefined)
  .map(([option]) => option);

function problem(given: Record<string, unknown>): string {
  try {
    parseConfig(given);
  } catch (error) {
    if (error instanceof ConfigurationError) {
      return error.message;
    }
    throw error;
  }
  return 'none';
}

test('nothing has to be configured', () => {
  expect(parseConfig()).toEqual(defaults);
});

test.each([
  ['indexFacesPerSecond', 20, '20'],
  ['dailyImageCap', 1000, '1000'],
  ['dailyImagesPerPhotographer', 500, '500'],
  ['qualityFilter', 'NONE', 'NONE'],
  ['maxFaces', 1, '1'],
  ['detectionAttributes', ['SMILE', 'GENDER'], 'SMILE,GENDER'],
  ['collectionPrefix', 'fest.', 'fest.'],
  ['photoBucketVersioned', true, 'true'],
  [
    'uploadOrigins',
    ['https://a.example.org', 'http://localhost:3000'],
    'https://a.example.org,http://localhost:3000',
  ],
  ['uploadAccounts', ['123456789012', '210987654321'], '123456789012,210987654321'],
  ['resultsRetentionDays', 3650, '3650'],
  ['rekognitionResponse', 'minimal', 'minimal'],
  ['faceRetentionDays', 1, '1'],
  ['searchFacesPerSecond', 0.5, '0.5'],
  ['dailySearchCap', 1000, '1000'],
  ['searchesPerEventHour', 100, '100'],
  ['searchesPerCallerHour', 1, '1'],
  ['searchRetentionDays', 3650, '3650'],
  ['logRetentionDays', 731, '731'],
  ['logLevel', 'DEBUG', 'DEBUG'],
  ['tracing', true, 'true'],
  ['criticalEmails', ['a@example.org', 'b@example.org'], 'a@example.org,b@example.org'],
  ['warningEmails', ['a@example.org'], 'a@example.org'],
  ['runbookUrl', 'https://example.org/runbook.md', 'https://example.org/runbook.md'],
  ['monthlyBudgetUsd', 500, '500'],
  ['slotLedgerTableArn', TABLE, TABLE],
  ['photoBucketKeyArn', KEY, KEY],
  ['availabilityZones', ['us-east-1a', 'us-east-1d'], 'us-east-1a,us-east-1d'],
  ['deletionProtection', true, 'true'],
  ['auroraMinCapacity', 0.5, '0.5'],
  ['auroraMaxCapacity', 64, '64'],
  ['auroraBackupDays', 35, '35'],
  ['lambdaReservedConcurrency', 100, '100'],
  ['removal', 'destroy', 'destroy'],
  ['tags', { team: 'photos', 'cost-centre': 'a=b' }, 'team=photos,cost-centre=a=b'],
])('%s is read from the file and from the command line', (name, value, text) => {
  expect(parseConfig({ [name]: value })).toEqual({ ...defaults, [name]: value });
  expect(parseConfig({ [name]: text })).toEqual({ ...defaults, [name]: value });
});

test.each([
  ['stage', 'Test', 'a lower-case letter'],
  ['stage', 'a-b', 'letters and digits'],
  ['slotLedgerTableArn', 'SlotLedger', 'the ARN of a table'],
  ['photoBucketKeyArn', 'alias/photos', 'the ARN of a KMS key'],
  ['availabilityZones', ['us-east-1a'], 'two or more different zones'],
  ['availabilityZones', 'us-east-1a,us-east-1a', 'two or more different zones'],
  ['deletionProtection', 'on', 'true or false'],
  ['indexFacesPerSecond', 0, 'a number from 0.1 to 1000'],
  ['dailyImageCap', 0, 'a whole number from 1 to 100000000'],
  ['dailyImagesPerPhotographer', 0.5, 'a whole number from 1 to 100000000'],
  ['qualityFilter', 'auto', 'one of NONE, AUTO, LOW, MEDIUM, HIGH'],
  ['maxFaces', 101, 'a whole number from 1 to 100'],
  ['maxFaces', 2.5, 'a whole number from 1 to 100'],
  ['maxFaces', '', 'a whole number from 1 to 100'],
  ['maxFaces', 'many', 'a whole number from 1 to 100'],
  ['detectionAttributes', ['AGE'], 'DEFAULT, ALL, AGE_RANGE'],
  ['detectionAttributes', [], 'a list'],
  ['collectionPrefix', 'a:b', '1 to 200 letters'],
  ['photoBucketVersioned', 'yes', 'true or false'],
  ['uploadOrigins', ['https://example.org/'], 'origins as browsers send them'],
  ['uploadOrigins', '*', 'origins as browsers send them'],
  ['uploadAccounts', '1234', 'AWS account ids'],
  ['photoBucketVersioned', 1, 'true or false'],
  ['resultsRetentionDays', 0, 'a whole number from 1 to 3650'],
  ['logRetentionDays', 31, 'one of 1, 3, 5, 7, 14, 30'],
  ['logLevel', 'verbose', 'one of DEBUG, INFO, WARN, ERROR'],
  ['tracing', null, 'true or false'],
  ['criticalEmails', ['someone'], 'a list (on the command line: separated by commas) of e-mail addresses'],
  ['criticalEmails', '', 'e-mail addresses'],
  ['warningEmails', 7, 'e-mail addresses'],
  ['alarmThresholds', { spendToday: 1 }, 'an object of positive numbers'],
  ['alarmThresholds', { spendTodayUsd: 0 }, 'rekognitionErrorPercent, minimumCalls'],
  ['alarmThresholds', 'spendTodayUsd', 'name=number,name=number'],
  ['alarmThresholds', 'spendTodayUsd=', 'name=number,name=number'],
  ['runbookUrl', 'our wiki', 'a path or an address without spaces'],
  ['monthlyBudgetUsd', -1, 'a number from 0'],
  ['database', 'neon', 'one of aurora, external'],
  ['databaseSecretArn', 'my-secret', 'the complete ARN of a secret'],
  ['databaseCaCertificate', 'ca.txt', 'the path of a file that ends in .pem'],
  ['databaseCaCertificate', '-----BEGIN CERTIFICATE-----', 'the path of a file'],
  ['databaseSchema', 'Rollcall', 'a lower-case letter or'],
  ['databaseSchema', 'pg_faces', 'not "pg_" at its start'],
  ['databaseSchema', 'a"; DROP SCHEMA public', 'a lower-case letter or'],
  ['auroraMinCapacity', 0.3, 'a number from 0 to 256 in steps of 0.5'],
  ['auroraMaxCapacity', 0.5, 'a number from 1 to 256 in steps of 0.5'],
  ['auroraBackupDays', 36, 'a whole number from 1 to 35'],
  ['lambdaReservedConcurrency', 0, 'a whole number from 1 to 1000'],
  ['removal', 'keep', 'one of retain, destroy'],
  ['tags', { team: 1 }, 'an object of strings'],
  ['tags', { 'aws:team': 'x' }, 'an object of strings'],
  ['tags', 'team', 'an object of strings'],
])('%s must not be %j', (name, value, allowed) => {
  const message = problem({ [name]: value });
  expect(message).toContain(`${name} is ${JSON.stringify(value)}; allowed is `);
  expect(message).toContain(allowed);
});

test('thresholds that are not given keep their defaults', () => {
  const changed = { ...defaultAlarmThresholds, spendTodayUsd: 250, openExecutions: 5_000 };
  const given = { spendTodayUsd: 250, openExecutions: 5_000 };
  expect(parseConfig({ alarmThresholds: given }).alarmThresholds).toEqual(changed);
  expect(parseConfig({ alarmThresholds: 'spendTodayUsd=250,openExecutions=5000' }).alarmThresholds).toEqual(
    changed,
  );
});

test('an unknown option is answered with the known ones', () => {
  expect(problem({ maxFace: 3 })).toMatch(/^there is no option maxFace; the options are .*maxFaces.*tags$/);
});

test('an external database needs its secret, and Aurora has none to choose', () => {
  expect(problem({ database: 'external' })).toContain('needs databaseSecretArn');
  expect(problem({ databaseSecretArn: SECRET })).toContain('set database to "external"');
  expect(parseConfig({ database: 'external', databaseSecretArn: SECRET }).databaseSecretArn).toBe(SECRET);
  expect(problem({ databaseCaCertificate: 'ca.pem' })).toContain(
    'databaseCaCertificate is set, but database is "aurora"',
  );
  expect(problem({ databaseSchema: 'faces' })).toContain("which is Rollcall's alone");
  expect(problem({ removal: 'destroy', deletionProtection: true })).toContain('set one of them otherwise');
  expect(problem({ auroraMinCapacity: 8 })).toContain('at most auroraMaxCapacity, 4');
});

test('a stage has collections of its own, whose prefix begins no other stage', () => {
  const prefixes = [undefined, 'test', 'test2', 'prod'].map((stage) =>
    stage === undefined ? parseConfig().collectionPrefix : parseConfig({ stage }).collectionPrefix,
  );
  expect(prefixes).toEqual(['rollcall-', 'rollcall.test-', 'rollcall.test2-', 'rollcall.prod-']);
  for (const prefix of prefixes) {
    expect(prefixes.filter((other) => other.startsWith(prefix))).toEqual([prefix]);
  }
  expect(parseConfig({ stage: 'test', collectionPrefix: 'rollcall-' }).collectionPrefix).toBe('rollcall-');
});

test('whatever is given, the answer is a configuration or one line', () => {
  const name = fc.oneof(fc.constantFrom(...Object.keys(defaults)), fc.string());
  const value = fc.oneof(
    fc.jsonValue(),
    fc.string(),
    fc.double({ min: -1, max: 300, noNaN: true }),
    fc.nat(400),
  );
  fc.assert(
    fc.property(fc.dictionary(name, value, { maxKeys: 3 }), (given) => {
      const message = problem(given);
      expect(message).not.toContain('\n');
      if (message === 'none') {
        const config = parseConfig(given);
        const missing = Object.entries(config).filter(([, value]) => value === undefined);
        expect(MAY_BE_MISSING).toEqual(expect.arrayContaining(missing.map(([option]) => option)));
        expect(parseConfig({ ...config })).toEqual(config);
      }
    }),
    { numRuns: 500 },
  );
});

test('the command line goes over the object in cdk.json', () => {
  const inContext = (context: Record<string, unknown>) => {
    const app = new RootConstruct();
    for (const [key, value] of Object.entries(context)) {
      app.node.setContext(key, value);
    }
    return configFromContext(app);
  };
  const given = {
    rollcall: { maxFaces: 10, tracing: true },
    'rollcall.maxFaces': '20',
    'rollcallx.maxFaces': '30',
  };
  expect(inContext(given)).toEqual({ ...defaults, maxFaces: 20, tracing: true });
  expect(() => inContext({ qualityFilter: 'NONE' })).toThrow('write -c rollcall.qualityFilter=...');
  expect(() => inContext({ rollcall: 'maxFaces=3' })).toThrow(/rollcall is not an object; in cdk.json write/);
});

test.each([
  [
    'an option',
    {},
    { 'rollcall.maxFaces': '500' },
    /^maxFaces is "500"; allowed is a whole number from 1 to 100$/,
  ],
  [
    'the Region',
    { CDK_DEFAULT_REGION: 'eu-west-3' },
    {},
    /^Amazon Rekognition is not available in eu-west-3\. Deploy to one of us-east-1, [^\n]*\.$/,
  ],
])(
  'the app answers a mistake in %s with one line and exit code 1',
  async (_, given, context, problemText) => {
    const root = path.join(import.meta.dirname, '../..');
    // Without bundles, as for `cdk ls`.
    const CDK_CONTEXT_JSON = JSON.stringify({ 'aws:cdk:bundling-stacks': [], ...context });
    const env = { ...process.env, CDK_CONTEXT_JSON, ...given };
    const { code, stderr } = await new Promise<{ code: unknown; stderr: string }>((resolve) => {
      execFile(process.execPath, ['bin/rollcall.ts'], { cwd: root, env }, (error, _, stderr) =>
        resolve({ code: error?.code, stderr }),
      );
    });
    expect(code).toBe(1);
    const [, text, rest] = /^Rollcall's configuration: (.*)\n([\s\S]*)$/.exec(stderr)!;
    expect(text).toMatch(problemText);
    expect(rest).toBe('');
  },
  30_000,
);
