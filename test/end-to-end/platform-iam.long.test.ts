/** `examples/platform` whose database is reached by IAM: no function reads a secret, and each logs in as its own user. */
import { randomUUID } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import postgres from 'postgres';
import type { EventAnswer } from '../../lambdas/shared/contract/gallery.ts';
import { type Cloud, startCloud } from '../../local/cloud.ts';
import { freePort } from '../support/free-port.ts';
import { findMadeFaces, madePhoto } from '../support/made-photos.ts';

const root = resolve(import.meta.dirname, '../..');
const base = mkdtempSync(join(tmpdir(), 'rollcall-platform-iam-'));
const app = join(base, 'platform');
let cloud: Cloud | undefined;

async function start(): Promise<Cloud> {
  cloud = await startCloud({
    stateDir: join(base, 'state'),
    postgresPort: await freePort(),
    app,
    rekognition: { findFaces: findMadeFaces },
  });
  return cloud;
}

beforeAll(() => {
  cpSync(join(root, 'examples/platform'), app, { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(app, 'node_modules'));
  const source = readFileSync(join(app, 'app.js'), 'utf8');
  const changed = source.replace('secret: database.secret', "iam: { databaseName: 'platform' }");
  expect(changed).not.toBe(source);
  writeFileSync(join(app, 'app.js'), changed);
});
afterAll(async () => {
  await cloud?.stop({ abort: true });
  rmSync(base, { recursive: true, force: true });
});

test('a photo ends in the platform’s database, before and after a restart', async () => {
  const event = randomUUID();
  for (const photos of [1, 2]) {
    const running = await start();
    await running.s3.send(
      new PutObjectCommand({
        Bucket: running.photoBucket,
        Key: `uploads/${event}/${randomUUID()}.jpg`,
        Body: await madePhoto(2),
      }),
    );
    await running.idle();
    const answer = await fetch(`${running.outputs.ApiUrl}/events/${event}`);
    expect(((await answer.json()) as EventAnswer).photos).toMatchObject({ indexed: photos, failed: 0 });
    const { calls, denied } = running.privileges();
    expect(denied).toEqual([]);
    const logins = calls.filter(({ action }) => action === 'rds-db:connect').map(({ resource }) => resource);
    expect(new Set(logins.map((resource) => resource.replace(/.*\//, '')))).toEqual(
      new Set(['rollcall_pipeline', 'rollcall_gallery', ...(photos === 1 ? ['rollcall_migrator'] : [])]),
    );
    expect(calls.map(({ action }) => action)).not.toContain('secretsmanager:GetSecretValue');
    const sql = postgres(running.databaseUrl, { max: 1, onnotice: () => {} });
    const owners = await sql`SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'rollcall'`;
    await sql.end();
    expect([...owners]).toEqual([{ tableowner: 'rollcall_migrator' }]);
    await running.stop();
  }
}, 240_000);
