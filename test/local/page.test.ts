/** What the page gets beside the API, and who may have it; the page itself is looked at in test/end-to-end/page.long. */
import { request } from 'node:http';
import type { S3Client } from '@aws-sdk/client-s3';
import sharp from 'sharp';
import { type HttpApi, startHttpApi } from '../../local/http-api.ts';
import type { ExecutionAnswer } from '../../local/page/answers.ts';
import { findChromium } from '../../local/page/chromium.ts';
import { stepsOf } from '../../local/page/history.ts';
import { pageOf } from '../../local/page/server.ts';
import { sourceHash } from '../../local/page/source-hash.ts';
import type { Execution } from '../../local/state-machine.ts';
import { fakeClient } from '../support/fake-client.ts';
import { read } from '../support/pages.ts';

const EVENT = '0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77';
const KEY = `events/${EVENT}/day one/Gäste #1.jpg`;

let api: HttpApi;
let stored: Map<string, Buffer>;
let executions: Execution[];

beforeAll(async () => {
  api = await startHttpApi(0);
  const s3 = fakeClient<S3Client>({
    PutObject: ({ Key, Body }) => void stored.set(Key as string, Body as Buffer),
    GetObject({ Key }) {
      const body = stored.get(Key as string);
      if (!body) {
        throw new Error('NoSuchKey');
      }
      return { Body: { transformToByteArray: async () => body } };
    },
  });
  api.serveBeside(
    await pageOf({
      s3: s3.client,
      photoBucket: 'photos',
      databaseUrl: 'postgresql://localhost:1/none',
      executions: () => executions,
    }),
  );
});
beforeEach(() => {
  stored = new Map();
  executions = [];
});
afterAll(() => api.stop());

interface Asked {
  method?: string;
  headers?: Record<string, string>;
  body?: Buffer;
}

/** As any program can ask, with whatever headers it likes. */
function ask(path: string, { method = 'GET', headers = {}, body }: Asked = {}) {
  const { port } = new URL(api.endpoint);
  return new Promise<{ status: number; headers: Record<string, unknown>; body: Buffer }>(
    (resolve, reject) => {
      const asked = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('end', () =>
          resolve({ status: answer.statusCode!, headers: answer.headers, body: Buffer.concat(chunks) }),
        );
      });
      asked.on('error', reject);
      asked.end(body);
    },
  );
}

const own = () => ({ host: new URL(api.endpoint).host, origin: api.endpoint });
const photoPath = (key: string) => `/local/photo?${new URLSearchParams({ key })}`;

test('the page has all of itself in four files, and nothing of anybody else', async () => {
  for (const path of ['/', '/page.js', '/page.css', '/page.svg']) {
    const { status, headers, body } = await ask(path);
    expect([path, status]).toEqual([path, 200]);
    expect(headers['content-security-policy']).toContain("default-src 'none'");
    expect(headers['content-security-policy']).not.toMatch(/unsafe|https?:|\*/);
    expect(headers['content-security-policy']).toContain("frame-ancestors 'none'");
    expect(headers['x-content-type-options']).toBe('nosniff');
    // What looks like an address is the name of a namespace.
    const elsewhere = body.toString('utf8').match(/(https?:)?\/\/[a-z0-9.-]+\.[a-z]{2,}[^"'`\s]*/g) ?? [];
    expect(elsewhere.filter((address) => !address.startsWith('http://www.w3.org/'))).toEqual([]);
  }
  // Small enough to be one of the parts that nobody waits for.
  expect((await ask('/page.js')).body.length).toBeLessThan(60_000);
});

test('a dropped file comes into the bucket under its own path in the event', async () => {
  const body = Buffer.from('a picture');
  expect(await ask(photoPath(KEY), { method: 'PUT', headers: own(), body })).toMatchObject({ status: 201 });
  expect([...stored]).toEqual([[KEY, body]]);
  for (const key of [
    '',
    'events/party/a.jpg',
    `results/${EVENT}/a.jpg`,
    `events/${EVENT}/`,
    `../events/${EVENT}/a.jpg`,
  ]) {
    expect(await ask(photoPath(key), { method: 'PUT', headers: own(), body })).toMatchObject({ status: 400 });
  }
  const tooLarge = { ...own(), 'content-length': String(65 * 1024 * 1024) };
  const refused = ask(photoPath(KEY), { method: 'PUT', headers: tooLarge });
  await expect(refused).resolves.toMatchObject({ status: 413 });
  expect(stored.size).toBe(1);
});

test.each<[who: string, headers: () => Record<string, string>]>([
  ['another site', () => ({ origin: 'https://evil.example.org' })],
  ['another port of this machine', () => ({ origin: 'http://localhost:1' })],
  ['a page without an origin', () => ({ origin: 'null' })],
  [
    'an address that only leads here (DNS rebinding)',
    () => ({ host: 'evil.example.org', origin: 'http://evil.example.org' }),
  ],
  ['a name that only looks like this machine', () => ({ host: 'localhost.evil.example.org' })],
  [
    'a picture in a page of another site',
    () => ({ 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'image' }),
  ],
  [
    'a frame in a page of another site',
    () => ({ 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'iframe' }),
  ],
  ['a page of another port', () => ({ 'sec-fetch-site': 'same-site' })],
])('%s reads nothing and writes nothing', async (_, headers) => {
  stored.set(KEY, Buffer.from('a picture'));
  const asked = { ...own(), ...headers() };
  const paths = [
    '/',
    '/page.js',
    '/local/events',
    `/local/picture?${new URLSearchParams({ key: KEY, size: '480' })}`,
  ];
  for (const path of paths) {
    expect([path, (await ask(path, { headers: asked })).status]).toEqual([path, 403]);
  }
  const written = await ask(photoPath(`events/${EVENT}/b.jpg`), {
    method: 'PUT',
    headers: asked,
    body: Buffer.from('x'),
  });
  expect([written.status, stored.size]).toEqual([403, 1]);
});

test('a link on another site leads here, and does nothing', async () => {
  const link = { host: own().host, 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'document' };
  expect(await ask('/', { headers: link })).toMatchObject({ status: 200 });
  expect(await ask(photoPath(KEY), { method: 'PUT', headers: link, body: Buffer.from('x') })).toMatchObject({
    status: 403,
  });
});

test('a picture is upright, as its boxes are, and of the size that is looked at', async () => {
  const lying = await sharp({ create: { width: 2_000, height: 1_000, channels: 3, background: '#a98' } })
    .jpeg()
    .withMetadata({ orientation: 6 })
    .toBuffer();
  stored.set(KEY, lying);
  const picture = (key: string, size: string) => ask(`/local/picture?${new URLSearchParams({ key, size })}`);
  const { headers, body } = await picture(KEY, '480');
  expect(headers['content-type']).toBe('image/jpeg');
  expect(await sharp(body).metadata()).toMatchObject({ width: 240, height: 480 });
  // What is no picture, or not there, is shown as that: an error would be one more thing to look into.
  stored.set(KEY, Buffer.from('words'));
  for (const key of [KEY, KEY.replace('#1', '#2')]) {
    expect(await picture(key, '1600')).toMatchObject({
      status: 200,
      headers: { 'content-type': 'image/svg+xml' },
    });
  }
  expect(await picture(KEY, '5')).toMatchObject({ status: 400 });
  expect(await picture('results/a.jpg', '480')).toMatchObject({ status: 400 });
});

describe('what an execution did', () => {
  const history = (...events: [type: string, at: number, more?: object][]) =>
    events.map(([type, at, more]) => ({ type, timestamp: at, ...more }));

  test('is told try by try, with the error and the cause of each', () => {
    const cause = JSON.stringify({ errorType: 'SlotExpired', errorMessage: 'too late', trace: ['at a'] });
    const steps = stepsOf(
      history(
        ['ExecutionStarted', 0],
        ['StateEntered', 10, { state: 'JoinLine' }],
        ['StateFailed', 20, { state: 'JoinLine', error: 'LedgerBusy', cause: 'lost races' }],
        ['StateRetried', 30, { state: 'JoinLine' }],
        ['StateExited', 40, { state: 'JoinLine' }],
        ['StateEntered', 50, { state: 'IndexFaces' }],
        ['StateFailed', 60, { state: 'IndexFaces', error: 'SlotExpired', cause }],
        ['StateCaught', 60, { state: 'IndexFaces' }],
        ['StateEntered', 70, { state: 'JoinLine' }],
      ),
    );
    const at = (ms: number) => new Date(ms).toISOString();
    expect(steps).toEqual([
      {
        state: 'JoinLine',
        attempt: 1,
        started_at: at(10),
        ended_at: at(20),
        error: 'LedgerBusy',
        cause: 'lost races',
      },
      { state: 'JoinLine', attempt: 2, started_at: at(30), ended_at: at(40), error: null, cause: null },
      {
        state: 'IndexFaces',
        attempt: 1,
        started_at: at(50),
        ended_at: at(60),
        error: 'SlotExpired',
        cause: 'too late',
      },
      { state: 'JoinLine', attempt: 1, started_at: at(70), ended_at: null, error: null, cause: null },
    ]);
  });

  test('is asked for by the key of its photo', async () => {
    const execution = (name: string, key: string): Execution => ({
      executionArn: `arn:aws:states:us-east-1:123456789012:execution:index-photo:${name}`,
      status: 'RUNNING',
      history: [],
      input: { object: { key } },
      startedAt: new Date(0),
      mapRuns: [],
    });
    executions = [
      execution('one', KEY),
      execution('other', `${KEY}.png`),
      { ...execution('odd', KEY), input: null },
    ];
    const { body } = await ask(`/local/executions?${new URLSearchParams({ key: KEY })}`);
    expect((JSON.parse(body.toString()) as ExecutionAnswer[]).map(({ name }) => name)).toEqual(['one']);
  });
});

test('a browser is looked for where it was said to be', () => {
  expect(findChromium({ CHROMIUM_PATH: '/opt/chromium' })).toMatchObject({ executablePath: '/opt/chromium' });
});

test("the README's pictures were taken from the page as it is: npm run docs:page takes them anew", () => {
  expect(JSON.parse(read('docs/page.json'))).toEqual({ source: sourceHash() });
  expect(read('README.md')).toContain('docs/page.jpg');
});
