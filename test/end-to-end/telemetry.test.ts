/** What the bundled Lambdas really print, held against what the alarms and the dashboard watch. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DeleteTableCommand, PutItemCommand, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import { InvokeCommand } from '@aws-sdk/client-lambda';
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { SendMessageCommand } from '@aws-sdk/client-sqs';
import postgres from 'postgres';
import { failureKinds } from '../../lambdas/shared/contract/errors.ts';
import { logEvents, metricDimensions, metricNames } from '../../lambdas/shared/contract/names.ts';
import { IMAGE_USD } from '../../lambdas/shared/contract/prices.ts';
import { searchReasons } from '../../lambdas/shared/contract/search.ts';
import { type Cloud, type ExecutionEnd, startCloud } from '../../local/cloud.ts';
import { parseOpsArguments } from '../../ops/arguments.ts';
import { cap } from '../../ops/commands/cap.ts';
import { cost } from '../../ops/commands/cost.ts';
import type { Context, Result } from '../../ops/context.ts';
import { localDeployment } from '../../ops/deployment.ts';
import { silent } from '../../ops/progress.ts';
import { UNLIMITED } from '../../ops/time-limit.ts';
import { freePort } from '../support/free-port.ts';
import { facePattern, findMadeFaces, madePhoto } from '../support/made-photos.ts';
import { withinOneDay } from '../support/midnight.ts';
import { printedMetrics, wasPrinted, watchedMetrics } from '../support/observability.ts';
import { stories } from '../support/stories.ts';
import { ReadableTemplate } from '../support/template.ts';

const CAP = 8;
const PHOTOS = 15;
/** Of the photos together: none to four in each. */
const FACES = 30;
const stateDir = mkdtempSync(join(tmpdir(), 'rollcall-telemetry-'));

/** Everything that the Lambdas printed. */
const lines: string[] = [];
/** What Rekognition answers to the photo or the event whose id is in the request. */
const faults = new Map<
  string,
  {
    name:
      | 'ThrottlingException'
      | 'AccessDeniedException'
      | 'ServiceQuotaExceededException'
      | 'InternalServerError';
    times: number;
  }
>();
const ends: ExecutionEnd[] = [];
let cloud: Cloud;
let admin: postgres.Sql;

beforeAll(async () => {
  cloud = await startCloud({
    stateDir,
    postgresPort: await freePort(),
    lambdaConcurrency: 1,
    onLambdaOutput: (_, line) => lines.push(line),
    time: { retries: 0.1 },
    rekognition: {
      findFaces: findMadeFaces,
      quotas: { IndexFaces: 100 },
      intercept: (_, request) => {
        const [, fault] = [...faults].find(([id]) => JSON.stringify(request).includes(id)) ?? [];
        if (!fault || fault.times === 0) {
          return undefined;
        }
        fault.times--;
        return { error: { name: fault.name } };
      },
    },
  });
  cloud.onExecutionEnd((end) => ends.push(end));
  admin = postgres(cloud.databaseUrl, { max: 1, onnotice: () => {} });
}, 120_000);
afterAll(async () => {
  await admin?.end({ timeout: 1 });
  await cloud?.stop({ abort: true });
  rmSync(stateDir, { recursive: true, force: true });
});

interface Put {
  eventId?: string;
  photoId?: string;
  faces?: number;
  body?: string;
}

async function put({ eventId = randomUUID(), photoId = randomUUID(), faces = 1, body }: Put = {}) {
  const key = `events/${eventId}/${photoId}.jpg`;
  await cloud.s3.send(
    new PutObjectCommand({ Bucket: cloud.photoBucket, Key: key, Body: body ?? (await madePhoto(faces)) }),
  );
  return { key, eventId, photoId };
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await condition())) {
    if (Date.now() > deadline) {
      throw new Error(`Waited in vain for ${what}: ${JSON.stringify(await statuses())}`);
    }
    await sleep(100);
  }
}

const printedLines = () =>
  lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Record<string, unknown>);
const attemptsThatFailedWith = (error: string) =>
  printedLines().filter(({ event, error_type }) => event === logEvents.attemptFailed && error_type === error)
    .length;
const printedSum = (name: string) =>
  printedMetrics(lines)
    .filter((metric) => metric.name === name && Object.keys(metric.dimensions).length === 1)
    .reduce((sum, { value }) => sum + value, 0);

/** The slot ledger's item, as an operator's commands change it. */
async function ledger(expression: string, value?: number): Promise<void> {
  await cloud.dynamodb.send(
    new UpdateItemCommand({
      TableName: cloud.outputs.SlotLedgerTableName,
      Key: { id: { S: 'index-faces' } },
      UpdateExpression: expression,
      ...(value !== undefined && { ExpressionAttributeValues: { ':value': { N: String(value) } } }),
    }),
  );
}

/** The item of searches, as if it had come to this. */
async function setSearchLedger(state: Record<string, number>): Promise<void> {
  const numbers = Object.entries(state).map(([name, value]) => [name, { N: String(value) }] as const);
  await cloud.dynamodb.send(
    new PutItemCommand({
      TableName: cloud.outputs.SlotLedgerTableName,
      Item: { id: { S: 'search-faces' }, ...Object.fromEntries(numbers) },
    }),
  );
}

/** What a function answers, or what it threw. */
async function invoke(FunctionName: string, request: object): Promise<Record<string, unknown>> {
  const { lambda, close } = localDeployment(cloud.services);
  try {
    const { Payload: payload } = await lambda.send(
      new InvokeCommand({ FunctionName, Payload: JSON.stringify(request) }),
    );
    return JSON.parse(Buffer.from(payload ?? []).toString('utf8')) as Record<string, unknown>;
  } finally {
    close();
  }
}

/** What `npm run ops -- COMMAND --json` prints. */
async function operate(command: (context: Context) => Promise<Result>, ...argv: string[]) {
  const deployment = localDeployment(cloud.services);
  try {
    const args = parseOpsArguments([...argv, '--local'], {});
    const { data } = await command({
      args,
      deployment,
      progress: silent,
      limit: UNLIMITED,
      now: Date.now,
      columns: undefined,
      confirm: async () => args.yes,
      show() {},
    });
    return data;
  } finally {
    deployment.close();
  }
}

async function statuses(): Promise<Record<string, number>> {
  const rows = await admin<{ status: string; photos: number }[]>`
    SELECT status, count(*)::int AS photos FROM photos GROUP BY 1`;
  return Object.fromEntries(rows.map(({ status, photos }) => [status, photos]));
}

/** Makes the functions open new connections, and so meet what the role may now do. */
async function changeRole(change: string): Promise<void> {
  await admin.unsafe(`ALTER ROLE rollcall_pipeline ${change}`);
  await admin`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'rollcall_pipeline'`;
}

const { it, all } = stories();

it('of more photos than the cap allows exactly the cap is billed; raised, all are indexed', async () => {
  await withinOneDay(60_000);
  const [eventId, photographer] = [randomUUID(), randomUUID()];
  await admin`INSERT INTO events (id, photographer_id) VALUES (${eventId}, ${photographer})`;
  await operate(cap, 'cap', '--images', String(CAP), '--yes');
  await Promise.all(Array.from({ length: PHOTOS }, (_, index) => put({ eventId, faces: index % 5 })));

  await until(
    'the cap',
    async () =>
      (await statuses()).indexed === CAP && attemptsThatFailedWith('DailyImageCapReached') > PHOTOS - CAP,
  );
  await sleep(2_000);
  expect(await statuses()).toEqual({ indexed: CAP, processing: PHOTOS - CAP });
  expect(cloud.rekognitionCalls('IndexFaces')).toBe(CAP);
  expect(ends.length).toBe(CAP);

  await expect(operate(cap, 'cap', '--images', '100000', '--yes')).resolves.toMatchObject({
    daily_image_cap: 100_000,
    images_today: CAP,
  });
  await cloud.idle();
  expect(await statuses()).toEqual({ indexed: PHOTOS });
  expect(cloud.rekognitionCalls('IndexFaces')).toBe(PHOTOS);

  // What the photographer's photos cost adds up to the calls.
  const usage = { images: PHOTOS, faces: FACES, estimated_usd: expect.closeTo(PHOTOS * IMAGE_USD, 6) };
  await expect(operate(cost, 'cost', '--by', 'photographer')).resolves.toMatchObject({
    rows: [{ photographer, ...usage }],
    total: usage,
    stored_faces: FACES,
  });
  const tomorrow = new Date(Date.now() + 24 * 3_600_000).toISOString().slice(0, 10);
  await expect(operate(cost, 'cost', '--by', 'day', '--since', tomorrow)).resolves.toMatchObject({
    rows: [],
    total: { images: 0, faces: 0, estimated_usd: 0 },
  });
  expect(printedSum(metricNames.imagesBilled)).toBe(PHOTOS);
}, 180_000);

it('throttled, broken, faceless, forbidden, without a database: all of it is told', async () => {
  const throttled = await put();
  faults.set(throttled.photoId, { name: 'ThrottlingException', times: 2 });
  const forbidden = await put();
  faults.set(forbidden.photoId, { name: 'AccessDeniedException', times: 100 });
  const full = await put();
  faults.set(full.photoId, { name: 'ServiceQuotaExceededException', times: 100 });
  const shaky = { eventId: randomUUID() };
  faults.set(`rollcall-${shaky.eventId}`, { name: 'InternalServerError', times: 1 });
  await put(shaky);
  const broken = await put({ body: 'these are words' });
  const faceless = await put({ faces: 0 });
  await cloud.s3.send(
    new PutObjectCommand({ Bucket: cloud.photoBucket, Key: 'wrong/key.jpg', Body: await madePhoto(1) }),
  );
  await cloud.idle();

  // Its faces cannot be erased: as often as the state machine tries for what an engineer has to mend.
  faults.set(`rollcall-${throttled.eventId}`, { name: 'AccessDeniedException', times: 3 });
  await cloud.s3.send(new DeleteObjectCommand({ Bucket: cloud.photoBucket, Key: throttled.key }));
  await cloud.idle();

  await ledger('SET paused_ms = :value', Date.now());
  await put();
  await until('the pause', () => attemptsThatFailedWith('IndexingPaused') > 0);
  await ledger('REMOVE paused_ms');
  await cloud.idle();

  await changeRole('CONNECTION LIMIT 0');
  await put();
  await until('a full database', () => attemptsThatFailedWith('DatabaseUnavailable') > 0);
  await changeRole('CONNECTION LIMIT -1 NOLOGIN');
  await until('a refused login', () => attemptsThatFailedWith('DatabaseMisconfigured') > 2);
  await changeRole('LOGIN');
  await cloud.idle();

  const notStarted = await put();
  await cloud.idle();
  const { sqs, close } = localDeployment(cloud.services);
  await sqs.send(
    new SendMessageCommand({
      QueueUrl: cloud.outputs.LastResortQueueUrl,
      MessageBody: JSON.stringify(cloud.currentEvent(notStarted.key)),
      MessageAttributes: { ERROR_CODE: { DataType: 'String', StringValue: 'NO_PERMISSIONS' } },
    }),
  );
  await until('what was not started', () =>
    printedMetrics(lines).some(({ dimensions }) => dimensions.Error === 'StartFailed'),
  );
  close();

  await expect(cloud.reconcile()).resolves.toMatchObject({ status: 'SUCCEEDED' });
  const image = (await madePhoto(1)).toString('base64');
  const search = (request: object = {}) =>
    invoke(cloud.outputs.FindPersonFunctionName!, { event_id: shaky.eventId, image, ...request });
  await expect(search()).resolves.toMatchObject({ reason: null, found: 1 });
  await withinOneDay(20_000);
  const today = Number(new Date().toISOString().slice(0, 10).replaceAll('-', ''));
  const full_gate = { next_ms: Date.now() + 600_000 };
  await setSearchLedger(full_gate);
  await expect(search()).resolves.toMatchObject({ reason: 'SearchBusy' });
  await setSearchLedger({ ...full_gate, day: today, images: 1, daily_image_cap: 1 });
  await expect(search()).resolves.toMatchObject({ reason: 'DailySearchCapReached' });
  await setSearchLedger({});
  const calls = Array.from({ length: 62 }, () =>
    search({ image: undefined, face_id: randomUUID(), caller: 'guest' }),
  );
  const answers = await Promise.all(calls.map((call) => call.catch(() => ({ reason: 'failed' }))));
  expect(answers).toContainEqual(expect.objectContaining({ reason: 'SearchLimitReached' }));

  await cloud.dynamodb.send(new DeleteTableCommand({ TableName: cloud.outputs.SlotLedgerTableName }));
  await expect(search()).resolves.toMatchObject({ errorType: 'MissingConfiguration' });
  await put();
  await cloud.idle();

  const outcomes = printedLines().filter(({ event }) =>
    /^face_index\.(succeeded|failed)$/.test(String(event)),
  );
  const outcomeOf = ({ photoId }: { photoId: string }) =>
    outcomes.filter(({ photo_id }) => photo_id === photoId);
  expect(outcomeOf(throttled)).toMatchObject([{ event: logEvents.succeeded, attempt: 3, face_count: 1 }]);
  expect(outcomeOf(forbidden)).toMatchObject([{ error_type: 'AccessDenied', retryable: true }]);
  expect(outcomeOf(full)).toMatchObject([{ error_type: 'QuotaExceeded', retryable: true }]);
  expect(outcomeOf(broken)).toMatchObject([{ error_type: 'InvalidImageFormat', retryable: false }]);
  expect(outcomeOf(faceless)).toMatchObject([{ event: logEvents.succeeded, face_count: 0 }]);
}, 180_000);

test('every metric of an alarm or a widget was printed, with its dimensions and a unit that suits its statistic', async () => {
  await all();
  const printed = printedMetrics(lines);
  const synthesised = readFileSync(join(stateDir, 'cdk.out', 'Rollcall.template.json'), 'utf8');
  const template = new ReadableTemplate(JSON.parse(synthesised) as Record<string, unknown>);
  const watched = watchedMetrics(template).filter(({ namespace }) => namespace === 'Rollcall');
  expect(watched.length).toBeGreaterThan(30);
  for (const metric of watched) {
    expect([JSON.stringify(metric), wasPrinted(metric, printed)]).toEqual([JSON.stringify(metric), true]);
    const units = new Set(printed.filter(({ name }) => name === metric.name).map(({ unit }) => unit));
    expect([metric.name, [...units]]).toEqual([metric.name, [unitOf(metric)]]);
  }
}, 300_000);

/** Percentiles are of times; a moment's age is the only other one. */
function unitOf({ name, statistic }: { name: string; statistic: string }): string {
  return name === metricNames.disagreementAge ? 'Seconds' : /^p\d/.test(statistic) ? 'Milliseconds' : 'Count';
}

test('what is printed is what names.ts says, with few values for each dimension', async () => {
  await all();
  const printed = printedMetrics(lines);
  expect(Object.values(metricNames)).toEqual(expect.arrayContaining(printed.map(({ name }) => name)));
  const classes = Object.values(failureKinds).map((kind) => kind.class as string);
  for (const { namespace, name, dimensions, value } of printed) {
    const { service, ...others } = dimensions;
    expect([namespace, service]).toEqual(['Rollcall', 'rollcall']);
    const allowed = (metricDimensions as Record<string, string>)[name];
    expect([[], [allowed]]).toContainEqual(Object.keys(others));
    for (const text of Object.values(others)) {
      expect([...Object.keys(failureKinds), ...classes, ...Object.keys(searchReasons)]).toContain(text);
    }
    expect(Number.isFinite(value)).toBe(true);
  }
}, 300_000);

test('a photo has one line for its outcome, with all that is needed to find the rest', async () => {
  await all();
  const outcomes = printedLines().filter(
    ({ event, error_type }) =>
      // An upload of no event is not a photo.
      (event === logEvents.succeeded || event === logEvents.failed) && error_type !== 'InvalidPhotoKey',
  );
  const photos = outcomes.map(({ photo_id }) => photo_id);
  expect(photos.length).toBeGreaterThan(PHOTOS);
  expect(new Set(photos).size).toBe(photos.length);
  for (const line of outcomes) {
    expect(line).toMatchObject({
      photo_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      event_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      execution_arn: expect.stringContaining(':execution:'),
      duration_ms: expect.any(Number),
      attempt: expect.any(Number),
      service: 'rollcall',
    });
    expect(line).toMatchObject(
      line.event === logEvents.succeeded
        ? {
            collection_id: expect.any(String),
            face_count: expect.any(Number),
            unindexed_count: expect.any(Number),
          }
        : { error_type: expect.any(String), retryable: expect.any(Boolean) },
    );
  }
}, 300_000);

test('nothing that was printed holds a face, a secret or a way into the database', async () => {
  await all();
  const everything = lines.join('\n');
  expect(everything.length).toBeGreaterThan(100_000);
  const forbidden: [what: string, pattern: RegExp][] = [
    ['a number of a box, landmark or quality', facePattern],
    [
      'a field of a face',
      /BoundingBox|Landmark|FaceDetail|FaceRecords|FaceId\b|"?(?:Pose|Roll|Yaw|Pitch|Brightness|Sharpness|AgeRange|Gender|Smile|Emotions|Eyeglasses|Beard|descriptor)"?\s*[:=]/i,
    ],
    [
      'a secret of AWS',
      /aws_secret|SecretAccessKey|SessionToken|local-000000000000|X-Amz-(?:Signature|Security-Token|Credential)/i,
    ],
    ['a database login', /postgres(?:ql)?:\/\/|password=|rds-db|Action=connect/i],
    ['a private key', /BEGIN [A-Z ]*PRIVATE KEY/],
  ];
  for (const [what, pattern] of forbidden) {
    const found = lines.find((line) => pattern.test(line));
    expect([what, found]).toEqual([what, undefined]);
  }
}, 300_000);
