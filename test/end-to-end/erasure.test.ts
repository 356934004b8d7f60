import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CreateCollectionCommand,
  DescribeCollectionCommand,
  paginateListFaces,
  ResourceNotFoundException,
} from '@aws-sdk/client-rekognition';
import { DeleteObjectCommand, PutObjectCommand, paginateListObjectsV2 } from '@aws-sdk/client-s3';
import postgres from 'postgres';
import { parsePhotoKey } from '../../lambdas/shared/contract/photo-key.ts';
import { type Cloud, startCloud } from '../../local/cloud.ts';
import { parseOpsArguments } from '../../ops/arguments.ts';
import { backfill } from '../../ops/commands/backfill.ts';
import { eraseEvent } from '../../ops/commands/erase-event.ts';
import { erasePerson } from '../../ops/commands/erase-person.ts';
import { erasures } from '../../ops/commands/erasures.ts';
import { find } from '../../ops/commands/find.ts';
import type { Context, Result } from '../../ops/context.ts';
import { localDeployment } from '../../ops/deployment.ts';
import { silent } from '../../ops/progress.ts';
import { UNLIMITED } from '../../ops/time-limit.ts';
import { freePort } from '../support/free-port.ts';
import { findMadeFaces, madePhoto } from '../support/made-photos.ts';
import { once, stories } from '../support/stories.ts';

/** Retries and timeouts as on AWS would make minutes of a refused call. */
const TIME = { retries: 0.02 };

const stateDir = mkdtempSync(join(tmpdir(), 'rollcall-erasure-'));
let cloud: Cloud;
let sql: postgres.Sql;
/** What the local Rekognition has trouble with. */
let brokenOperation: string | undefined;
/** Answers to CreateCollection wait for this. */
let collectionsMayBeCreated: Promise<void> | undefined;

beforeAll(async () => {
  cloud = await startCloud({
    stateDir,
    postgresPort: await freePort(),
    rekognition: {
      findFaces: findMadeFaces,
      intercept: async (operation) => {
        if (operation === 'CreateCollection') {
          await collectionsMayBeCreated;
        }
        return operation === brokenOperation ? { error: { name: 'InternalServerError' } } : undefined;
      },
    },
    time: TIME,
  });
  sql = postgres(cloud.databaseUrl, { max: 1, onnotice: () => {} });
}, 120_000);
afterAll(async () => {
  await sql?.end();
  await cloud?.stop({ abort: true });
  rmSync(stateDir, { recursive: true, force: true });
});

const keyOf = (event: string, name: string) => `events/${event}/${name}.jpg`;
const upload = async (event: string, name: string, faces: number, shade?: number) =>
  cloud.s3.send(
    new PutObjectCommand({
      Bucket: cloud.photoBucket,
      Key: keyOf(event, name),
      Body: await madePhoto(faces, shade),
    }),
  );
const remove = (event: string, name: string) =>
  cloud.s3.send(new DeleteObjectCommand({ Bucket: cloud.photoBucket, Key: keyOf(event, name) }));

async function photo(event: string, name: string) {
  const [row] = await sql`SELECT * FROM photos WHERE object_key = ${keyOf(event, name)}`;
  return row!;
}

/** The faces of an event in the collection and in the database, and its stored responses, by photo id. */
async function traces(event: string) {
  const listed: string[] = [];
  try {
    for await (const { Faces = [] } of paginateListFaces(
      { client: cloud.rekognition },
      { CollectionId: `${cloud.collectionPrefix}${event}` },
    )) {
      listed.push(...Faces.map(({ FaceId }) => FaceId!));
    }
  } catch (error) {
    if (!(error instanceof ResourceNotFoundException)) {
      throw error;
    }
  }
  const rows = await sql<{ id: string }[]>`
    SELECT rekognition_face_id AS id FROM faces JOIN photos ON photos.id = photo_id WHERE event_id = ${event}`;
  const responses: string[] = [];
  for await (const { Contents = [] } of paginateListObjectsV2(
    { client: cloud.s3 },
    { Bucket: cloud.resultsBucket, Prefix: `results/${event}/` },
  )) {
    responses.push(...Contents.map(({ Key }) => Key!));
  }
  const [{ outbox }] = (await sql`
    SELECT (SELECT count(*) FROM face_removals) + (SELECT count(*) FROM result_removals) AS outbox`) as never as [
    { outbox: string },
  ];
  return {
    listed: listed.sort(),
    rows: rows.map(({ id }) => id).sort(),
    responses,
    outbox: Number(outbox),
  };
}

async function operate(command: (context: Context) => Promise<Result>, ...argv: string[]) {
  const shown: string[] = [];
  const asked: string[] = [];
  const deployment = localDeployment(cloud.services);
  try {
    const result = await command({
      args: parseOpsArguments([...argv, '--local'], {}),
      deployment,
      progress: silent,
      show: (lines) => shown.push(...lines),
      confirm: async (question) => {
        asked.push(question);
        return argv.includes('--yes');
      },
      limit: UNLIMITED,
      now: Date.now,
      columns: undefined,
    });
    return { ...result, shown, asked };
  } finally {
    deployment.close();
  }
}

const { it, all } = stories();

it('a replaced photo loses its old faces and its old response, and has its own again when it comes back', async () => {
  const wedding = randomUUID();
  await upload(wedding, 'a', 3);
  await upload(wedding, 'b', 2);
  await upload(wedding, 'c', 0);
  await cloud.idle();
  await upload(wedding, 'a', 4, 10);
  await cloud.idle();
  const { listed, rows, responses, outbox } = await traces(wedding);
  expect(listed).toEqual(rows);
  expect([listed.length, responses.length, outbox]).toEqual([6, 3, 0]);
  await expect(photo(wedding, 'a')).resolves.toMatchObject({ status: 'indexed', face_count: 4 });

  await upload(wedding, 'a', 3);
  await cloud.idle();
  const again = await traces(wedding);
  expect(again.listed).toEqual(again.rows);
  expect([again.listed.length, again.outbox]).toEqual([5, 0]);
  await expect(photo(wedding, 'a')).resolves.toMatchObject({ status: 'indexed', face_count: 3 });
}, 60_000);

it('a deleted photo is gone everywhere but for its row, and a late event does not bring it back', async () => {
  const wedding = randomUUID();
  await upload(wedding, 'a', 3);
  await upload(wedding, 'b', 2);
  await cloud.idle();
  const late = cloud.currentEvent(keyOf(wedding, 'b'));
  await remove(wedding, 'b');
  await cloud.idle();
  const { id, status } = await photo(wedding, 'b');
  expect(status).toBe('deleted');
  cloud.deliver(late);
  await cloud.idle();
  const { listed, rows, responses, outbox } = await traces(wedding);
  expect(listed).toEqual(rows);
  expect([listed.length, outbox]).toEqual([3, 0]);
  expect(responses.filter((key) => key.includes(id))).toEqual([]);
  await expect(photo(wedding, 'b')).resolves.toMatchObject({ status: 'deleted', face_count: null });
}, 60_000);

it('a person is erased from an event, after a look, and from no other', async () => {
  const [wedding, concert] = [randomUUID(), randomUUID()];
  await upload(wedding, 'a', 3);
  await upload(wedding, 'd', 2, 30);
  await upload(concert, 'e', 1, 40);
  await cloud.idle();
  const before = await traces(wedding);
  const selfie = join(stateDir, 'Selfie.JPG');
  writeFileSync(selfie, await madePhoto(1, 200));

  const looked = await operate(
    erasePerson,
    'erase-person',
    '--event',
    wedding,
    '--photo',
    selfie,
    '--dry-run',
  );
  expect(looked.lines).toEqual([
    expect.stringMatching(/100\.0 % {2}[0-9a-f-]{36} {2}events\/.*\.jpg/),
    expect.stringMatching(/100\.0 %/),
    'Would erase 2 faces in 2 photos.',
  ]);
  const refused = await operate(erasePerson, 'erase-person', '--event', wedding, '--photo', selfie);
  expect(refused).toMatchObject({
    exitCode: 1,
    asked: ['Erase 2 faces in 2 photos, for good?'],
    lines: ['Nothing was erased.'],
  });
  await expect(traces(wedding)).resolves.toEqual(before);

  const erased = await operate(erasePerson, 'erase-person', '--event', wedding, '--photo', selfie, '--yes');
  expect(erased).toMatchObject({
    exitCode: 0,
    data: { left: 0, receipts: [{ reason: 'person_requested', faces: 2, photos: 2 }] },
  });
  const after = await traces(wedding);
  expect(after.listed).toEqual(after.rows);
  expect(after.listed).toHaveLength(before.listed.length - 2);
  expect(after.outbox).toBe(0);
  await expect(photo(wedding, 'd')).resolves.toMatchObject({ status: 'indexed', face_count: 1 });
  await expect(traces(concert)).resolves.toMatchObject({ listed: [expect.any(String)] });

  const [named] = after.listed;
  const byFace = await operate(erasePerson, 'erase-person', '--event', wedding, '--face', named!, '--yes');
  expect(byFace).toMatchObject({ exitCode: 0, data: { matches: expect.arrayContaining([]) } });
  await expect(traces(wedding)).resolves.toMatchObject({ listed: expect.not.arrayContaining([named]) });
}, 60_000);

it('mistakes of an operator are told in one line', async () => {
  const wedding = randomUUID();
  await upload(wedding, 'a', 1);
  await cloud.idle();
  const line = (message: string | RegExp) =>
    expect.objectContaining({ name: 'UserError', message: expect.stringMatching(message) });
  const nothing = '00000000-0000-4000-8000-000000000000';
  await expect(operate(eraseEvent, 'erase-event', '--event', nothing)).rejects.toEqual(
    line(/^The database knows no event/),
  );
  const person = (...argv: string[]) => operate(erasePerson, 'erase-person', '--event', wedding, ...argv);
  await expect(person('--photo', 'nowhere.jpg')).rejects.toEqual(
    line(/^There is no picture .*nowhere\.jpg\.$/),
  );
  await expect(person('--face', nothing)).rejects.toEqual(line(/has the face/));
  const text = join(stateDir, 'text.jpg');
  writeFileSync(text, 'no picture');
  await expect(person('--photo', text)).rejects.toEqual(line(/is no JPEG or PNG/));
  const empty = join(stateDir, 'empty.jpg');
  writeFileSync(empty, await madePhoto(0));
  await expect(person('--photo', empty)).rejects.toEqual(line(/cannot be searched for: There are no faces/));
}, 60_000);

it('an event is erased, with a receipt, and the other is not touched', async () => {
  const [wedding, concert] = [randomUUID(), randomUUID()];
  await upload(wedding, 'a', 3);
  await upload(wedding, 'b', 2);
  await upload(concert, 'e', 1, 40);
  await cloud.idle();
  await upload(wedding, 'a', 4, 10);
  await remove(wedding, 'b');
  await cloud.idle();
  const [named, ...others] = (await traces(wedding)).listed;
  await operate(erasePerson, 'erase-person', '--event', wedding, '--face', named!, '--yes');
  const untouched = await traces(concert);
  const faces = (await traces(wedding)).listed.length;
  expect([others.length, faces]).toEqual([3, 3]);
  const erased = await operate(eraseEvent, 'erase-event', '--event', wedding, '--yes');
  expect(erased).toMatchObject({
    exitCode: 0,
    data: { receipts: [{ reason: 'event_requested', faces, finished_at: expect.any(String) }] },
  });
  await expect(traces(wedding)).resolves.toEqual({ listed: [], rows: [], responses: [], outbox: 0 });
  await expect(traces(concert)).resolves.toEqual(untouched);
  const { lines } = await operate(erasures, 'erasures', '--event', wedding);
  expect(lines.join('\n')).toMatch(/event_requested[\s\S]*person_requested[\s\S]*photo_deleted/);
  // Nobody asked for these.
  expect(lines.join('\n')).not.toMatch(/photo_replaced|late_result/);

  // What is uploaded now is wanted; S3 tells the time in seconds, and in doubt it was before.
  await sleep(1_000);
  await upload(wedding, 'd', 2, 30);
  await cloud.idle();
  await expect(photo(wedding, 'd')).resolves.toMatchObject({ status: 'indexed', face_count: 2 });
}, 60_000);

it('when an event is over its faces go, with the clock of the schedule', async () => {
  const [wedding, concert] = [randomUUID(), randomUUID()];
  await upload(wedding, 'd', 2, 30);
  await upload(concert, 'e', 1, 40);
  await cloud.idle();
  await sql`UPDATE events SET expires_at = now() - interval '1 day' WHERE id = ${concert}`;
  const eraseFaces = cloud.outputs.EraseFacesStateMachineArn!;
  const inDays = (days: number) => ({
    request: 'retention',
    as_of: new Date(Date.now() + days * 24 * 3600 * 1000).toISOString(),
  });
  await cloud.startExecution(inDays(28), eraseFaces);
  await cloud.idle();
  await expect(traces(concert)).resolves.toMatchObject({ listed: [expect.any(String)] });
  await cloud.startExecution(inDays(29.5), eraseFaces);
  await cloud.idle();
  await expect(traces(concert)).resolves.toEqual({ listed: [], rows: [], responses: [], outbox: 0 });
  await expect(traces(wedding)).resolves.toMatchObject({
    listed: [expect.any(String), expect.any(String)],
  });
}, 60_000);

describe('least privilege', () => {
  /** What uses the grants that none of the tests above needed. */
  it('the rest of what the pipeline does', async () => {
    const wedding = randomUUID();
    // A photo that is at fault leaves no record of success behind.
    await cloud.s3.send(
      new PutObjectCommand({ Bucket: cloud.photoBucket, Key: keyOf(wedding, 'text'), Body: 'no picture' }),
    );
    // An object that is gone when its event comes.
    const gone = structuredClone(cloud.currentEvent(keyOf(wedding, 'text')));
    Object.assign(gone.detail.object as object, { key: keyOf(wedding, 'gone') });
    cloud.deliver(gone);
    // The collection exists, and nobody remembers having created it, for Rekognition had trouble the first time.
    const party = '9b3f4c82-5d74-4d2a-9c75-4e5f6a7b8c9d';
    await cloud.rekognition.send(
      new CreateCollectionCommand({ CollectionId: `${cloud.collectionPrefix}${party}` }),
    );
    brokenOperation = 'CreateCollection';
    await upload(party, 'f', 1, 50);
    await sleep(1_000);
    brokenOperation = undefined;
    await cloud.idle();
    await expect(photo(wedding, 'gone')).resolves.toMatchObject({ failure_code: 'InvalidS3Object' });
    await expect(photo(party, 'f')).resolves.toMatchObject({ status: 'indexed' });
    // An object that no row knows.
    await sql`DELETE FROM faces USING photos WHERE photos.id = photo_id AND event_id = ${party}`;
    await sql`DELETE FROM photos WHERE event_id = ${party}`;
    await operate(backfill, 'backfill', '--prefix', `events/${party}/`, '--yes');
    await cloud.idle();
    await expect(photo(party, 'f')).resolves.toMatchObject({ status: 'indexed' });
    await expect(photo(wedding, 'text')).resolves.toMatchObject({ failure_code: 'InvalidImageFormat' });
  }, 60_000);

  it('two functions that make sure of one collection at the same moment', async () => {
    const reunion = randomUUID();
    const { promise, resolve } = Promise.withResolvers<void>();
    collectionsMayBeCreated = promise;
    await Promise.all([upload(reunion, 'n', 1, 130), upload(reunion, 'o', 1, 140)]);
    // One has begun and waits; the other finds its record, and tries again later.
    let haveMet = false;
    for (let i = 0; i < 400 && !haveMet; i++) {
      await sleep(20);
      haveMet = cloud.waitingAfter().has('IdempotencyAlreadyInProgressError');
    }
    resolve();
    collectionsMayBeCreated = undefined;
    await cloud.idle();
    expect(haveMet).toBe(true);
    await expect(photo(reunion, 'n')).resolves.toMatchObject({ status: 'indexed' });
    await expect(photo(reunion, 'o')).resolves.toMatchObject({ status: 'indexed' });
  }, 60_000);

  it('a reconciliation, for all that it can do', async () => {
    // One that nobody knows, one whose deletion nobody told of, faces without a row, a collection without an event.
    const fair = '9e1f4c82-5d74-4d2a-9c75-4e5f60718293';
    await upload(fair, 'k', 1, 55);
    await upload(fair, 'l', 1, 65);
    await cloud.idle();
    const [seen, stray] = [await photo(fair, 'k'), await photo(fair, 'l')];
    await sql`DELETE FROM faces WHERE photo_id IN (${seen.id}, ${stray.id})`;
    await sql`DELETE FROM photos WHERE id = ${seen.id}`;
    await sql`UPDATE photos SET face_count = 0 WHERE id = ${stray.id}`;
    const { photoId } = parsePhotoKey(keyOf(fair, 'gone'));
    await sql`
      INSERT INTO photos (id, event_id, object_key, object_version, status, face_count, indexed_at)
      VALUES (${photoId}, ${fair}, ${keyOf(fair, 'gone')}, 'v1', 'indexed', 0, now())`;
    const orphan = `${cloud.collectionPrefix}0f205d93-6e85-4e3b-8d86-5f6071829304`;
    await cloud.rekognition.send(new CreateCollectionCommand({ CollectionId: orphan }));

    const hour = 3_600_000;
    const later = (ms: number) => new Date(Date.now() + ms);
    await expect(cloud.reconcile(later(2 * hour))).resolves.toMatchObject({ status: 'SUCCEEDED' });
    await expect(photo(fair, 'k')).resolves.toMatchObject({ status: 'indexed' });
    await expect(photo(fair, 'gone')).resolves.toMatchObject({ status: 'deleted' });
    await expect(cloud.reconcile(later(9 * 24 * hour))).resolves.toMatchObject({ status: 'SUCCEEDED' });
    await expect(
      cloud.rekognition.send(new DescribeCollectionCommand({ CollectionId: orphan })),
    ).rejects.toThrow(ResourceNotFoundException);
    const hourly = cloud.schedules.find(({ name }) => /ReconciliationHourly/.test(name))!;
    cloud.fireSchedule(hourly.name, later(9 * 24 * hour));
    await cloud.idle();
  }, 60_000);

  const gala = randomUUID();
  const galaPhoto = once(async () => {
    await upload(gala, 'm', 1, 120);
    await cloud.idle();
  });

  it('searches, by picture and by face, for all that they can do', async () => {
    await galaPhoto();
    const file = join(stateDir, 'guest.jpg');
    writeFileSync(file, await madePhoto(1, 120));
    const asked = ['find', '--event', gala] as const;
    const byPicture = (await operate(find, ...asked, '--photo', file)).data;
    const found = { photos: [{ object_key: keyOf(gala, 'm'), face_id: expect.any(String) }] };
    expect(byPicture).toMatchObject({ reason: null, ...found });
    const [{ face_id }] = (byPicture as { photos: [{ face_id: string }] }).photos;
    const byFace = await operate(find, ...asked, '--face', face_id);
    expect(byFace).toMatchObject({ exitCode: 0, data: { reason: null, ...found } });
    const kept = await sql`SELECT kind, found, reference FROM searches WHERE event_id = ${gala} ORDER BY id`;
    expect(kept).toEqual([
      { kind: 'image', found: 1, reference: 'operator' },
      { kind: 'face', found: 1, reference: 'operator' },
    ]);
  }, 60_000);

  it('galleries ask, and follow the addresses that they get', async () => {
    await galaPhoto();
    const event = await fetch(`${cloud.outputs.ApiUrl}/events/${gala}`);
    expect([event.status, await event.json()]).toMatchObject([200, { event_id: gala }]);
    const photos = await fetch(`${cloud.outputs.ApiUrl}/events/${gala}/photos?urls=1&status=indexed`);
    const { photos: listed } = (await photos.json()) as { photos: { url: string }[] };
    expect(listed.length).toBeGreaterThan(0);
    expect((await fetch(listed[0]!.url)).status).toBe(200);
  }, 60_000);

  test('no call was refused', async () => {
    await all();
    expect(cloud.privileges().denied).toEqual([]);
  }, 300_000);

  test('no grant was never needed, but for reasons', async () => {
    await all();
    const unexplained = cloud.privileges().unused.filter(({ reason }) => reason === undefined);
    expect(unexplained.map(({ id }) => id)).toEqual([]);
  }, 300_000);

  test('each grant that was needed would be missed', async () => {
    await all();
    const unused = new Set(cloud.privileges().unused.map(({ id }) => id));
    const needed = cloud.authority.grants.filter(({ id }) => !unused.has(id));
    expect(needed.length).toBeGreaterThan(40);
    const spare: string[] = [];
    for (const grant of needed) {
      if ((await cloud.authority.neededFor(grant)).length === 0) {
        spare.push(grant.id);
      }
    }
    expect(spare).toEqual([]);
  }, 300_000);

  test.each([
    [/^s3:PutObject on .*\/results\/\* for PhotoIndexingIndexFaces/, () => upload(randomUUID(), 'g', 1, 60)],
    [/^dynamodb:UpdateItem on .* for PhotoIndexingJoinLine/, () => upload(randomUUID(), 'h', 1, 70)],
    [/^rekognition:IndexFaces/, () => upload(randomUUID(), 'i', 1, 80)],
  ])(
    'without %s a photo fails, and says why',
    async (pattern, act) => {
      const grant = cloud.authority.grants.find(({ id }) => pattern.test(id))!;
      const failures = async () =>
        sql`SELECT failure_message FROM photos WHERE failure_code = 'AccessDenied'`;
      const before = (await failures()).length;
      cloud.authority.withhold(grant);
      try {
        await act();
        await cloud.idle();
      } finally {
        cloud.authority.withhold(undefined);
      }
      const after = await failures();
      expect(after).toHaveLength(before + 1);
      expect(after.map(({ failure_message }) => failure_message)).toContainEqual(
        expect.stringContaining(`is not authorized to perform: ${grant.action}`),
      );
      expect(cloud.privileges().denied).toContainEqual(expect.objectContaining({ action: grant.action }));
    },
    60_000,
  );

  test('without rekognition:DeleteFaces an erasure waits, and is done when it is given back', async () => {
    const wedding = randomUUID();
    await upload(wedding, 'j', 2, 90);
    await cloud.idle();
    const grant = cloud.authority.grants.find(({ id }) => /^rekognition:DeleteFaces/.test(id))!;
    cloud.authority.withhold(grant);
    try {
      await remove(wedding, 'j');
      await cloud.idle();
    } finally {
      cloud.authority.withhold(undefined);
    }
    const { id } = await photo(wedding, 'j');
    const receipt = async () =>
      (await sql`SELECT * FROM erasures WHERE photo_id = ${id} AND reason = 'photo_deleted'`)[0];
    await expect(receipt()).resolves.toMatchObject({
      finished_at: null,
      last_error: expect.stringMatching(/^AccessDenied/),
    });
    await sql`UPDATE erasures SET not_before = now() WHERE finished_at IS NULL`;
    await cloud.startExecution({ request: 'outbox' }, cloud.outputs.EraseFacesStateMachineArn);
    await cloud.idle();
    await expect(receipt()).resolves.toMatchObject({ finished_at: expect.any(Date), faces: 2 });
  }, 60_000);
});
