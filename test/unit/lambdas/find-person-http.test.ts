/** Finding a person over HTTP: what becomes a search, and what a search becomes. */
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import {
  answerSearch,
  callerOf,
  isHttpEvent,
  searchEventSchema,
  searchRequestOf,
} from '../../../lambdas/find-person/http.ts';
import { PipelineError } from '../../../lambdas/shared/contract/errors.ts';
import type { Problem } from '../../../lambdas/shared/contract/gallery.ts';
import { parseRequest } from '../../../lambdas/shared/contract/payloads.ts';
import {
  DEFAULT_FOUND,
  DEFAULT_SIMILARITY,
  type FindPersonAnswer,
  type FindPersonRequest,
  MAX_FOUND,
  MAX_SELFIE_BYTES,
  MIN_SIMILARITY,
  SELFIE_TYPES,
  type SearchReason,
  searchedFaces,
  searchReasons,
  searchRoutes,
} from '../../../lambdas/shared/contract/search.ts';
import { answerFailure } from '../../../lambdas/shared/http/http.ts';
import { ProblemError } from '../../../lambdas/shared/http/problems.ts';
import { deviations, openapi, operations } from '../../support/openapi.ts';
import { recordingTelemetry } from '../../support/recording-telemetry.ts';

const EVENT = '0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77';
const FACE = '1c8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a78';
const SELFIE = Buffer.from('a picture, for all that is looked at here');

function answerOf(reason: SearchReason | null, change: Partial<FindPersonAnswer> = {}): FindPersonAnswer {
  return {
    event_id: EVENT,
    reason,
    message: reason && searchReasons[reason].says,
    retry_after_seconds: null,
    similarity: 80,
    searched: null,
    photos: [],
    found: 0,
    cursor: null,
    is_cut: false,
    ...change,
  };
}

interface Asked {
  route?: keyof typeof searchRoutes;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: Buffer;
  event?: string;
  face?: string;
  authorizer?: object;
  find?: (request: FindPersonRequest) => Promise<FindPersonAnswer>;
}

/** A request as API Gateway hands it on, and the answer, which has to be as the document says. */
async function ask({
  route = 'find',
  query,
  headers = { 'content-type': 'image/jpeg' },
  body = SELFIE,
  event = EVENT,
  face = FACE,
  authorizer,
  find = async () => answerOf('NobodyFound'),
}: Asked = {}) {
  const recording = recordingTelemetry();
  const requests: FindPersonRequest[] = [];
  const path = searchRoutes[route];
  const given = {
    version: '2.0',
    routeKey: `POST ${path}`,
    headers,
    pathParameters: { event, ...(route === 'findFace' && { face }) },
    ...(query && { queryStringParameters: query }),
    requestContext: { http: { method: 'POST' }, ...(authorizer && { authorizer }) },
    ...(body.length > 0 && { body: body.toString('base64') }),
    isBase64Encoded: body.length > 0,
  };
  expect(isHttpEvent(given)).toBe(true);
  const answer = await answerSearch(
    {
      find: (request) => {
        requests.push(request);
        return find(request);
      },
      telemetry: recording.telemetry,
    },
    parseRequest(searchEventSchema, given),
  );
  const told = {
    status: answer.statusCode!,
    contentType: String(answer.headers?.['content-type']),
    body: JSON.parse(answer.body!) as FindPersonAnswer & Problem,
    retryAfter: answer.headers?.['retry-after'],
  };
  expect(deviations(`POST ${path}`, told)).toEqual([]);
  expect(answer.headers?.['cache-control']).toBe('no-store');
  return { ...told, requests, recording };
}

test('a picture and its parameters become a search, and its answer is handed on as it is', async () => {
  const found = answerOf(null, {
    searched: {
      face: 'largest_of_image',
      message: searchedFaces.largest_of_image,
      box: { left: 0.1, top: 0.1, width: 0.5, height: 0.5 },
    },
    photos: [{ photo_id: randomUUID(), similarity: 99.2, face_id: FACE, box: null }],
    found: 2,
    cursor: 'next',
  });
  const query = { similarity: '92.5', limit: '7', cursor: 'abc', reference: 'consent 7', caller: 'guest-7' };
  const { status, body, requests } = await ask({ query, find: async () => found });
  expect([status, body]).toEqual([200, found]);
  expect(requests).toEqual([
    { event_id: EVENT, image: SELFIE.toString('base64'), ...query, similarity: 92.5, limit: 7 },
  ]);
});

test('a face becomes one, whatever the body is, and ids may be spelt in capitals', async () => {
  const { requests, body } = await ask({
    route: 'findFace',
    event: EVENT.toUpperCase(),
    face: FACE.toUpperCase(),
    headers: {},
  });
  expect(requests).toEqual([
    { event_id: EVENT, face_id: FACE, similarity: DEFAULT_SIMILARITY, limit: DEFAULT_FOUND },
  ]);
  expect(body).toMatchObject({ reason: 'NobodyFound', photos: [] });
});

test.each(Object.entries(searchReasons))('%s is told by its status and type', async (name, reason) => {
  const route = name === 'FaceUnknown' ? 'findFace' : 'find';
  const { status, body } = await ask({ route, find: async () => answerOf(name as SearchReason) });
  expect(status).toBe(reason.status);
  if (reason.status !== 200) {
    expect(body).toEqual({
      type: `urn:problem-type:rollcall:${reason.type}`,
      title: reason.says,
      status: reason.status,
      detail: reason.says,
    });
  }
});

test.each([
  [1, 'in a second'],
  [12, 'in 12 seconds'],
])('whoever has to wait is told for how long: %i s', async (retry_after_seconds, says) => {
  const { status, body, retryAfter } = await ask({
    find: async () => answerOf('SearchBusy', { retry_after_seconds }),
  });
  expect([status, retryAfter]).toEqual([429, String(retry_after_seconds)]);
  expect(body.detail).toBe(`Too many people are searching at this moment. Ask again ${says}.`);
});

test.each([
  [{ similarity: '79' }, 'similarity is from 80 to 100'],
  [{ similarity: 'all' }, 'similarity is not a number'],
  [{ similarity: '' }, 'similarity is not a number'],
  [{ similarity: '1e2' }, 'similarity is not a number'],
  [{ limit: '0' }, 'limit is from 1 to 1000'],
  [{ limit: '1.5' }, 'limit is not a whole number'],
  [{ limit: '9'.repeat(30) }, 'limit is not a number'],
  [{ cursor: '' }, 'cursor has 1 to 200 characters'],
  [{ reference: 'x'.repeat(201) }, 'reference has 1 to 200 characters'],
  [{ reference: '\u0000' }, 'characters that PostgreSQL cannot store'],
  [{ colour: 'red' }, 'There is no parameter "colour"'],
])('%j: %s', async (query, detail) => {
  for (const route of ['find', 'findFace'] as const) {
    const { status, body, requests } = await ask({ route, query });
    expect([status, requests, body.detail]).toEqual([400, [], expect.stringContaining(detail)]);
  }
});

test('ids that are none, and the cursor of no answer', async () => {
  await expect(ask({ event: 'wedding' })).resolves.toMatchObject({ status: 400 });
  await expect(ask({ route: 'findFace', face: "' OR true --" })).resolves.toMatchObject({ status: 400 });
  const find = () => Promise.reject(new PipelineError('InvalidInput', 'cursor: it is not one'));
  await expect(ask({ find })).resolves.toMatchObject({
    status: 400,
    body: { detail: 'cursor: it is not one' },
  });
});

describe('the size is looked at first', () => {
  test.each([0, 1, 2])('to the byte, whatever else is wrong: %i more', async (more) => {
    const body = Buffer.alloc(MAX_SELFIE_BYTES + more);
    const { status, requests } = await ask({ body, event: more > 0 ? 'wrong' : EVENT });
    expect([status, requests.length]).toEqual(more > 0 ? [413, 0] : [200, 1]);
  });

  test('and the document says it', () => {
    const { content } = operations[`POST ${searchRoutes.find}`]!.requestBody!;
    expect(Object.keys(content)).toEqual([...SELFIE_TYPES]);
    expect(Object.values(content).map(({ schema }) => schema.maxLength)).toEqual([
      MAX_SELFIE_BYTES,
      MAX_SELFIE_BYTES,
    ]);
  });
});

test('what is no picture by its type is not taken for one', async () => {
  for (const type of ['text/plain', 'application/json', 'image/webp', 'image/jpegs', '']) {
    const { status, requests } = await ask({ headers: { 'content-type': type } });
    expect([type, status, requests]).toEqual([type, 415, []]);
  }
  for (const type of ['image/png', 'IMAGE/JPEG', 'image/jpeg; charset=binary']) {
    expect(await ask({ headers: { 'content-type': type } })).toMatchObject({ status: 200 });
  }
  expect(await ask({ headers: {} })).toMatchObject({ status: 415 });
});

describe('the body', () => {
  const requestOf = (event: object) =>
    searchRequestOf(
      parseRequest(searchEventSchema, {
        routeKey: `POST ${searchRoutes.find}`,
        headers: { 'content-type': 'image/png' },
        pathParameters: { event: EVENT },
        ...event,
      }),
    );
  const base64 = (bytes: number) => Buffer.alloc(bytes, 'picture').toString('base64');

  test.each([-2, -1, 0])('of the most bytes and %i is taken, as Base64 and as it is', (over) => {
    const bytes = MAX_SELFIE_BYTES + over;
    const body = base64(bytes);
    expect(requestOf({ body, isBase64Encoded: true }).image).toBe(body);
    const text = 'x'.repeat(bytes);
    for (const isBase64Encoded of [false, undefined]) {
      expect(Buffer.from(requestOf({ body: text, isBase64Encoded }).image!, 'base64').toString()).toBe(text);
    }
  });

  test.each([1, 2, 3])('of %i bytes more is not', (over) => {
    const bytes = MAX_SELFIE_BYTES + over;
    const tooLarge = expect.objectContaining({
      message: expect.stringContaining(searchReasons.ImageTooLarge.says),
    });
    expect(() => requestOf({ body: base64(bytes), isBase64Encoded: true })).toThrow(tooLarge);
    expect(() => requestOf({ body: 'x'.repeat(bytes) })).toThrow(tooLarge);
  });

  test('of characters is counted in bytes', () => {
    expect(() => requestOf({ body: 'é'.repeat(MAX_SELFIE_BYTES / 2 + 1) })).toThrow();
  });

  test.each(['image/png', 'IMAGE/PNG', ' image/png ', 'image/jpeg; quality=high', 'image/jpeg ;\nx'])(
    'is a picture by its type: %j',
    (type) => {
      expect(requestOf({ headers: { 'content-type': type }, body: 'x' }).image).toBe('eA==');
    },
  );

  test.each([undefined, {}, { 'content-type': 'image' }, { 'content-type': '; image/png' }])(
    'is none without one: %j',
    (headers) => {
      expect(() => requestOf({ headers, body: 'x' })).toThrow(
        'The body is a picture, as it is: say content-type image/jpeg or image/png',
      );
    },
  );

  test('of nothing is an empty picture, and a face needs none', () => {
    expect(requestOf({}).image).toBe('');
    const findFace = { routeKey: `POST ${searchRoutes.findFace}`, headers: undefined };
    expect(requestOf({ ...findFace, pathParameters: { event: EVENT, face: FACE } })).toMatchObject({
      event_id: EVENT,
      face_id: FACE,
    });
    expect(() => requestOf(findFace)).toThrow(/face/);
  });

  test.each([
    [`POST ${searchRoutes.find}`, { event: 'x' }, /event/],
    [`POST ${searchRoutes.find}`, undefined, /event/],
    [`POST ${searchRoutes.findFace}`, undefined, /event/],
    [`POST ${searchRoutes.findFace}`, { event: EVENT, face: 'x' }, /face/],
  ])('%s of %j says which id it is', (routeKey, pathParameters, said) => {
    const asked = () => requestOf({ routeKey, pathParameters, body: 'x' });
    expect(asked).toThrow(ProblemError);
    expect(asked).toThrow(said);
  });
});

describe('who asks', () => {
  const anybody = fc.string({ minLength: 1, maxLength: 40 });

  test('is said by the server where IAM asks, and by nobody where a token knows it', () => {
    fc.assert(
      fc.property(anybody, anybody, (said, known) => {
        expect(callerOf({ iam: { userArn: known } }, { caller: said })).toBe(said);
        expect(callerOf(undefined, { caller: said })).toBe(said);
        for (const authorizer of [{ jwt: { claims: { sub: known } } }, { lambda: { caller: known } }]) {
          expect(callerOf(authorizer, {})).toBe(known);
          expect(() => callerOf(authorizer, { caller: said })).toThrow(/leave "caller" out/);
        }
      }),
    );
    expect(callerOf({ jwt: { claims: { client_id: 'app' } } }, {})).toBeUndefined();
    expect(callerOf({ lambda: null }, {})).toBeUndefined();
  });

  test.each([
    [{ lambda: { caller: '' } }, undefined],
    [{ lambda: { caller: 7 } }, undefined],
    [{ lambda: {} }, undefined],
    [{ jwt: {} }, undefined],
    [{ jwt: { claims: { sub: '' } } }, undefined],
    [{ lambda: { caller: 'guest' } }, 'guest'],
  ])('by %j is %s', (authorizer, caller) => {
    expect(callerOf(authorizer, {})).toBe(caller);
  });

  test('counts for the search, and pretending is refused', async () => {
    const authorizer = { jwt: { claims: { sub: 'anna' }, scopes: null } };
    const { requests } = await ask({ authorizer });
    expect(requests).toMatchObject([{ caller: 'anna' }]);
    expect(await ask({ authorizer, query: { caller: 'ben' } })).toMatchObject({ status: 400, requests: [] });
  });
});

test.each([
  ['DatabaseUnavailable', 503, 'not-now', '5'],
  ['RekognitionUnavailable', 503, 'not-now', '5'],
  ['LedgerBusy', 503, 'not-now', '5'],
  ['AccessDenied', 500, 'internal', undefined],
  ['InternalError', 500, 'internal', undefined],
] as const)('%s is told as %d, and nothing of its inside', async (name, status, type, retryAfter) => {
  const find = () => Promise.reject(new PipelineError(name, 'secret host 10.0.0.1'));
  const answer = await ask({ find });
  expect(answer).toMatchObject({
    status,
    retryAfter,
    body: { type: `urn:problem-type:rollcall:${type}` },
  });
  expect(JSON.stringify(answer.body)).not.toContain('10.0.0.1');
});

test('the document describes these routes, their parameters and what they take', () => {
  const posts = Object.entries(openapi.paths).filter(([, { post }]) => post);
  expect(posts.map(([path]) => path).toSorted()).toEqual(Object.values(searchRoutes).toSorted());
  for (const [path, { post }] of posts) {
    const schemas = Object.fromEntries(post!.parameters.map(({ name, schema }) => [name, schema]));
    expect(Object.keys(schemas)).toEqual([
      ...(path.match(/(?<=\{)\w+/g) ?? []),
      'similarity',
      'limit',
      'cursor',
      'reference',
      'caller',
    ]);
    expect(schemas.similarity).toMatchObject({ minimum: MIN_SIMILARITY, default: DEFAULT_SIMILARITY });
    expect(schemas.limit).toMatchObject({ maximum: MAX_FOUND, default: DEFAULT_FOUND });
    const statuses = Object.values(searchReasons).map(({ status }) => String(status));
    const ofPictures = ['413', '415', '422'];
    const told = Object.keys(post!.responses);
    expect(statuses.filter((status) => !told.includes(status) && !ofPictures.includes(status))).toEqual([]);
  }
});

test('whatever is wrong with a request, nothing that is said or logged holds its picture', async () => {
  const secret = Buffer.from(
    'the face of a person who trusts us, as bytes that are in nothing else; '.repeat(5),
  );
  const image = secret.toString('base64');
  const anywhere = fc.constantFrom(undefined, 'guest', image);
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        type: fc.constantFrom('image/jpeg', 'text/plain', image),
        event: fc.constantFrom(EVENT, image),
      }),
      fc.record({ cursor: anywhere, reference: anywhere, caller: anywhere, limit: anywhere }),
      fc.constantFrom('reference', image),
      fc.constantFrom<SearchReason | PipelineError>(
        'NoFace',
        'NobodyFound',
        new PipelineError('InvalidInput', 'cursor: it is not one'),
        new PipelineError('AccessDenied', 'no'),
      ),
      async ({ type, event }, parameters, name, end) => {
        const recording = recordingTelemetry();
        const { body } = await answerSearch(
          {
            find: async () => {
              if (typeof end === 'string') {
                return answerOf(end);
              }
              throw end;
            },
            telemetry: recording.telemetry,
          },
          parseRequest(searchEventSchema, {
            routeKey: `POST ${searchRoutes.find}`,
            headers: { 'content-type': type },
            pathParameters: { event },
            queryStringParameters: { ...parameters, [name]: 'x' },
            body: image,
            isBase64Encoded: true,
          }),
        );
        const everything = JSON.stringify([body, recording.lines, recording.recorded]);
        expect(everything).not.toContain(image.slice(0, 80));
        expect(everything).not.toContain(image.slice(-80));
      },
    ),
    { numRuns: 300 },
  );
  for (const wrong of [
    { body: [image] },
    { headers: image },
    { headers: { a: [image] } },
    { isBase64Encoded: image },
  ]) {
    const event = { routeKey: `POST ${searchRoutes.find}`, ...wrong };
    let said = '';
    try {
      parseRequest(searchEventSchema, event);
    } catch (error) {
      said = `${error} ${JSON.stringify(answerFailure(error))}`;
    }
    expect(said).not.toBe('');
    expect(said).not.toContain(image.slice(0, 40));
  }
});
