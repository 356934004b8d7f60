import { execFile, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { SendMessageCommand } from '@aws-sdk/client-sqs';
import { displayWidth } from '../../cli/text.ts';
import { startCloud } from '../../local/cloud.ts';
import { readQueues } from '../../ops/commands/status.ts';
import { ask, askAll, collect } from '../../ops/database.ts';
import { localDeployment } from '../../ops/deployment.ts';
import { ledgerOf } from '../../ops/ledger.ts';
import { type Harness, startHarness } from '../faults/harness.ts';
import { photoWith } from '../faults/photos.ts';
import { backfillInTwoGoes, databaseAway, databaseGone } from '../faults/scenarios.ts';
import { freePort } from '../support/free-port.ts';
import { once } from '../support/stories.ts';

/** `npm run faults` plays the same scenarios with more photos, and with PostgreSQL away for a whole minute. */
const stateDir = mkdtempSync(join(tmpdir(), 'rollcall-operator-'));
let harness: Harness;

interface Ended {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/** `npm run ops`, as a process of its own: with `--local` it operates the run of this one. */
function ops(argv: string[], env: Record<string, string> = {}): Promise<Ended> {
  const root = join(import.meta.dirname, '../..');
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [join(root, 'ops/main.ts'), ...argv],
      {
        cwd: root,
        env: {
          PATH: process.env.PATH!,
          ROLLCALL_STATE_DIR: stateDir,
          AWS_EC2_METADATA_DISABLED: 'true',
          HOME: stateDir,
          ...env,
        },
      },
      (error, stdout, stderr) => resolve({ exitCode: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
}

/** One line, which says this and shows no stack. */
const oneLine = (text: string) => expect.stringMatching(new RegExp(`^[^\\n]*${text}[^\\n]*\\n$`));

describe('on an operator’s day', () => {
  beforeAll(async () => {
    // A queue's message comes back after six seconds, when ten of them are marked.
    const time = { retries: 0.001, lambdas: 1, queues: 0.01 };
    harness = await startHarness({ stateDir, postgresPort: await freePort(), time });
  }, 180_000);
  afterAll(async () => {
    await harness?.stop();
    rmSync(stateDir, { recursive: true, force: true });
  });

  test('a database that is away for a while is waited for', async () => {
    // Two hours of retries take seven seconds here, and the database is back long before.
    await expect(databaseAway(harness, { photos: 8, awayMs: 1_000 })).resolves.toMatchObject({
      states: { indexed: 8 },
      failures: {},
      calls: 8,
      findings: 0,
    });
  }, 120_000);

  test('a database that is away for too long: photos fail by themselves, and one command indexes them, unpaid', async () => {
    const report = await databaseGone(harness, { photos: 4 });
    expect(report).toMatchObject({
      states_when_back: { failed: 4 },
      failures_when_back: { DatabaseUnavailable: 4 },
      states: { indexed: 4 },
      reprocess: { photos: 4, to_pay: 0, indexed: 4 },
      calls_of_reprocess: 0,
      findings: 0,
    });
  }, 240_000);

  test('a backfill that is stopped in its middle and started again pays for what was left, once', async () => {
    const report = await backfillInTwoGoes(harness, { objects: 12, indexed: 4 });
    expect(report).toMatchObject({
      planned: { objects: 12, left: 8, skipped: { indexed: 4 } },
      states: { indexed: 12 },
      calls_of_backfill: 8,
      calls: 12,
      findings: 0,
    });
    // It was stopped in its middle.
    expect((report.second_go as { left: number }).left).toBeGreaterThan(0);
  }, 120_000);

  test('the commands operate a run of another process', async () => {
    const status = await ops(['status', '--local', '--json']);
    expect(status).toMatchObject({ exitCode: 0, stderr: '' });
    expect(JSON.parse(status.stdout)).toMatchObject({
      faces: expect.any(Number),
      paused_since: null,
    });
    await expect(ops(['pause', '--local'])).resolves.toMatchObject({
      exitCode: 0,
      stdout: oneLine('Paused'),
    });
    await expect(ops(['pause', '--local'])).resolves.toMatchObject({
      exitCode: 0,
      stdout: oneLine('has been paused since'),
    });
    await expect(ops(['resume', '--local'])).resolves.toMatchObject({
      exitCode: 0,
      stdout: oneLine('Resumed'),
    });
    await expect(ops(['replay-dead-letters', '--local', '--dry-run'])).resolves.toMatchObject({
      exitCode: 0,
    });
    await expect(ops(['reconcile', '--local', '--settle', '0'])).resolves.toMatchObject({
      exitCode: 0,
      stdout: oneLine('agree'),
    });
  }, 120_000);

  test('an upload that started no execution is failed, and one command indexes it', async () => {
    const { cloud } = harness;
    const deployment = localDeployment(cloud.services);
    const { sqs, outputs } = deployment;
    const photo = randomUUID();
    const key = `events/${randomUUID()}/${photo}.jpg`;
    harness.dropUploads(true);
    await cloud.s3.send(
      new PutObjectCommand({ Bucket: cloud.photoBucket, Key: key, Body: await photoWith(2) }),
    );
    harness.dropUploads(false);
    // As EventBridge sends it, and as it rests when the database was unavailable for a week.
    await sqs.send(
      new SendMessageCommand({
        QueueUrl: outputs.LastResortDeadLetterQueueUrl,
        MessageBody: JSON.stringify(cloud.currentEvent(key)),
        MessageAttributes: { ERROR_CODE: { DataType: 'String', StringValue: 'NO_PERMISSIONS' } },
      }),
    );
    await sqs.send(
      new SendMessageCommand({ QueueUrl: outputs.ErasureDeadLetterQueueUrl, MessageBody: 'no event' }),
    );
    const replay = await ops(['replay-dead-letters', '--local', '--json']);
    expect(JSON.parse(replay.stdout)).toMatchObject({ returned: 1, not_understood: 1 });
    expect(replay.exitCode).toBe(1);
    await cloud.idle();
    await expect(ask(deployment, { ask: 'photos', photo_ids: [photo] })).resolves.toMatchObject([
      {
        status: 'failed',
        failure_code: 'StartFailed',
        failure_message: expect.stringMatching(/NO_PERMISSIONS$/),
      },
    ]);
    await expect(ops(['reprocess', '--local', '--photo', photo, '--yes'])).resolves.toMatchObject({
      exitCode: 0,
    });
    await expect(ask(deployment, { ask: 'photos', photo_ids: [photo] })).resolves.toMatchObject([
      { status: 'indexed', face_count: 2 },
    ]);
    // What cannot be understood stays for a person to look at.
    await expect(readQueues(deployment)).resolves.toMatchObject({ erasure_dead_letters: 1 });
    deployment.close();
  }, 120_000);

  /** An event with two photos that were indexed. */
  const event = once(async () => {
    const { cloud } = harness;
    const id = randomUUID();
    for (const faces of [1, 2]) {
      const Key = `events/${id}/${randomUUID()}.jpg`;
      await cloud.s3.send(
        new PutObjectCommand({ Bucket: cloud.photoBucket, Key, Body: await photoWith(faces) }),
      );
    }
    await cloud.idle();
    return id;
  });

  /** util-linux's, which most Linux machines have; another one has other options. */
  const hasScript = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux');

  (hasScript ? test : test.skip).each([40, 80, 160])(
    'in a terminal of %d columns no row is wider than it is',
    async (columns) => {
      const root = join(import.meta.dirname, '../..');
      const command = `stty cols ${columns}; exec "${process.execPath}" ops/main.ts status --local`;
      const shown = await new Promise<string>((resolve) => {
        execFile(
          'script',
          ['--quiet', '--return', '--command', command, '/dev/null'],
          { cwd: root, env: { PATH: process.env.PATH!, ROLLCALL_STATE_DIR: stateDir, TERM: 'xterm' } },
          (_, stdout) => resolve(stdout),
        );
      });
      const rows = stripVTControlCharacters(shown)
        .split(/[\r\n]+/)
        .filter((line) => /^ {2}\S/.test(line) && !line.endsWith('…'));
      expect(rows.find((row) => row.startsWith('  indexed'))).toBeDefined();
      for (const row of rows) {
        expect([row, displayWidth(row) <= columns]).toEqual([row, true]);
      }
    },
    60_000,
  );

  test('in a pipe --json is one line of JSON and nothing else, by way of npm too', async () => {
    await event();
    const env = { PATH: process.env.PATH!, ROLLCALL_STATE_DIR: stateDir, HOME: stateDir };
    const { stdout, stderr } = await new Promise<{ stdout: string; stderr: string }>((resolve) => {
      execFile(
        'npm',
        ['run', '--silent', 'ops', '--', 'status', '--local', '--json'],
        { cwd: join(import.meta.dirname, '../..'), env },
        (_, out, err) => resolve({ stdout: out, stderr: err }),
      );
    });
    expect([JSON.parse(stdout), stdout.trimEnd().split('\n').length, stderr]).toMatchObject([
      { photos: { indexed: expect.any(Number) } },
      1,
      '',
    ]);
  }, 60_000);

  test('which events there are, and what became of one photo', async () => {
    const id = await event();
    const events = JSON.parse((await ops(['events', '--local', '--json'])).stdout).events;
    expect(events).toContainEqual(
      expect.objectContaining({ id, photos: expect.objectContaining({ indexed: 2, failed: 0 }), name: null }),
    );
    const deployment = localDeployment(harness.cloud.services);
    const [row] = await ask(deployment, { ask: 'photos', event_id: id });
    deployment.close();
    for (const subject of [row!.id, row!.object_key]) {
      const { exitCode, stdout } = await ops(['photo', subject, '--local', '--json']);
      expect([subject, exitCode]).toEqual([subject, 0]);
      expect(JSON.parse(stdout)).toMatchObject({
        photo_id: row!.id,
        key: row!.object_key,
        row: { status: 'indexed' },
        paid: [{ faces: row!.face_count }],
        execution: {
          status: 'SUCCEEDED',
          attempts: expect.arrayContaining([expect.objectContaining({ state: 'PersistResults' })]),
        },
        next: 'Nothing to do.',
      });
    }
  }, 120_000);

  test('what is indexed is indexed again: other faces take the place, each photo is billed once more', async () => {
    const deployment = localDeployment(harness.cloud.services);
    const { cloud } = harness;
    const id = await event();
    const facesOf = async () =>
      (await collect(askAll(deployment, { ask: 'faces', event_id: id }))).map(
        (face) => face.rekognition_face_id,
      );
    const before = await facesOf();
    const photos = await collect(askAll(deployment, { ask: 'photos', event_id: id, status: 'indexed' }));
    const paid = cloud.rekognitionCalls('IndexFaces');
    const dry = await ops(['reprocess', '--event', id, '--indexed', '--local', '--dry-run', '--json']);
    expect(JSON.parse(dry.stdout)).toMatchObject({
      photos: photos.length,
      to_pay: photos.length,
      dry_run: true,
    });
    expect(await facesOf()).toEqual(before);

    const again = await ops(['reprocess', '--event', id, '--indexed', '--local', '--yes', '--json']);
    expect([again.exitCode, JSON.parse(again.stdout)]).toMatchObject([
      0,
      { photos: photos.length, started: photos.length, indexed: photos.length, failed: 0, held: 0 },
    ]);
    expect(cloud.rekognitionCalls('IndexFaces') - paid).toBe(photos.length);
    const after = await facesOf();
    expect(after).toHaveLength(before.length);
    expect(after.filter((face) => before.includes(face))).toEqual([]);
    await cloud.idle();
    const reconcile = await ops(['reconcile', '--event', id, '--local', '--settle', '0']);
    expect(reconcile.stdout).toContain('agree');
    deployment.close();
  }, 120_000);

  test('what is wrong is said in one line', async () => {
    const id = randomUUID();
    const mistakes: [argv: string[], env: Record<string, string>, exitCode: number, line: string][] = [
      [[], {}, 2, 'Which command'],
      [['reprocess', '--local'], {}, 2, 'needs one of'],
      [['reprocess', '--photo', id, '--local'], {}, 1, `knows no photo ${id}`],
      [['failed', '--event', id, '--local'], {}, 1, `knows no event ${id}`],
      [['reprocess', '--event', id, '--local'], {}, 1, `knows no event ${id}`],
      [['backfill', '--prefix', `events/${id}/`, '--local'], {}, 1, 'no objects under'],
      [['status'], {}, 2, 'No AWS Region'],
      [['status'], { AWS_REGION: 'eu-west-1' }, 1, 'Nobody is signed in to AWS'],
      [['status', '--stack', 'Mine'], await withoutStack(), 2, 'There is no stack Mine in eu-west-1'],
    ];
    for (const [argv, env, exitCode, line] of mistakes) {
      expect([argv, await ops(argv, env)]).toEqual([argv, { exitCode, stdout: '', stderr: oneLine(line) }]);
    }
  }, 180_000);
});

describe('when the local run is stopped while photos wait', () => {
  test('what only looks says so, starts nothing and ends; so does what sets something', async () => {
    const stateDir = mkdtempSync(join(tmpdir(), 'rollcall-rests-'));
    const postgresPort = await freePort();
    const env = { ROLLCALL_STATE_DIR: stateDir, ROLLCALL_POSTGRES_PORT: String(postgresPort) };
    try {
      await expect(
        ops(['status', '--local'], { ...env, ROLLCALL_STATE_DIR: join(stateDir, 'none') }),
      ).resolves.toEqual({
        exitCode: 1,
        stdout: '',
        stderr: oneLine('no local run'),
      });
      const started = await startCloud({ stateDir, postgresPort });
      const deployment = localDeployment(started.services);
      await ledgerOf(deployment).pause();
      deployment.close();
      const event = randomUUID();
      for (let i = 0; i < 3; i++) {
        const Key = `events/${event}/${i}.jpg`;
        await started.s3.send(
          new PutObjectCommand({ Bucket: started.photoBucket, Key, Body: await photoWith(1) }),
        );
      }
      const deadline = performance.now() + 20_000;
      while (started.unfinished() < 3 && performance.now() < deadline) {
        await sleep(20);
      }
      await started.stop({ abort: true });

      const logs = join(stateDir, 'logs');
      const logOfFunctions = () =>
        readdirSync(logs)
          .filter((name) => name.startsWith('Rollcall-') || name === 'synth.log')
          .map((name) => [name, statSync(join(logs, name)).mtimeMs]);
      const before = logOfFunctions();
      // Two at once wait for each other; a port that is taken is not a reason not to look.
      const other = createServer().listen(postgresPort, '127.0.0.1');
      const [{ exitCode, stdout }, second] = await Promise.all([
        ops(['status', '--event', event, '--local', '--json'], env),
        ops(['failed', '--local'], env),
      ]);
      other.close();
      expect([second.exitCode, second.stdout]).toEqual([0, 'No photo failed.\n']);
      expect(before.length).toBeGreaterThan(0);
      expect(logOfFunctions()).toEqual(before);
      expect([exitCode, JSON.parse(stdout)]).toMatchObject([
        0,
        { executions_resting: 3, executions_running: 0, held: 'paused', objects: 3, left: 3, problems: [] },
      ]);
      // The three are still there; it says what goes on, and does not wait for it.
      await expect(ops(['resume', '--local'], env)).resolves.toEqual({
        exitCode: 0,
        stdout: oneLine('Resumed'),
        stderr: oneLine('3 executions are not done: npm run local:up goes on with them'),
      });
    } finally {
      rmSync(stateDir, { recursive: true, force: true });
    }
  }, 180_000);
});

/** A CloudFormation that knows no stack. */
async function withoutStack(): Promise<Record<string, string>> {
  const server = createServer((_, response) => {
    response.writeHead(400, { 'Content-Type': 'text/xml' });
    response.end(
      '<ErrorResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><Error><Type>Sender</Type><Code>ValidationError</Code><Message>Stack with id Mine does not exist</Message></Error></ErrorResponse>',
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  return {
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'a',
    AWS_SECRET_ACCESS_KEY: 'b',
    AWS_ENDPOINT_URL_CLOUDFORMATION: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  };
}
