import { InvokeCommand, type LambdaClient } from '@aws-sdk/client-lambda';
import { askToResolve } from '../../../lambdas/find-person/ask-to-resolve.ts';
import type { ResolveFacesRequest } from '../../../lambdas/shared/contract/search.ts';
import { failing } from '../../support/fake-client.ts';

const request: ResolveFacesRequest = {
  event_id: '0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77',
  kind: 'image',
  searched_face_id: null,
  face_ids: ['f1'],
  reference: null,
};

/** Asks a function that answers so; the calls come with what they were sent with. */
function asking(answer: () => object, signal?: AbortSignal) {
  const calls: [input: unknown, options: unknown][] = [];
  const lambda = {
    async send(command: InvokeCommand, options: unknown) {
      expect(command).toBeInstanceOf(InvokeCommand);
      calls.push([command.input, options]);
      return answer();
    },
  } as unknown as LambdaClient;
  return { calls, answer: askToResolve(lambda, 'resolve-faces-fn')(request, signal) };
}

const payload = (value: unknown) => Buffer.from(JSON.stringify(value));

test('sends the request to the function, and gives what it answered', async () => {
  const answered = { event: 'searchable', faces: [['f1', 'p1']], searched: null };
  const { calls, answer } = asking(() => ({ Payload: payload(answered) }));
  await expect(answer).resolves.toEqual(answered);
  expect(calls).toEqual([[{ FunctionName: 'resolve-faces-fn', Payload: JSON.stringify(request) }, {}]]);
});

test('gives up when it is told to, and says so', async () => {
  const controller = new AbortController();
  const { calls, answer } = asking(() => {
    controller.abort();
    throw new Error('Request aborted');
  }, controller.signal);
  await expect(answer).rejects.toMatchObject({
    name: 'DatabaseUnavailable',
    message: 'resolve-faces did not answer in time',
  });
  expect(calls[0]![1]).toEqual({ abortSignal: controller.signal });
});

test.each([
  ['AccessDeniedException', 'AccessDenied'],
  ['ResourceNotFoundException', 'MissingConfiguration'],
  ['TooManyRequestsException', 'DatabaseUnavailable'],
])('%s of Lambda is %s, with a signal that nobody has used too', async (name, as) => {
  const refused = failing(name);
  await expect(asking(refused).answer).rejects.toMatchObject({ name: as });
  await expect(asking(refused, new AbortController().signal).answer).rejects.toMatchObject({ name: as });
});

test.each([
  [
    { errorType: 'AccessDenied', errorMessage: 'the secret' },
    'AccessDenied',
    'resolve-faces AccessDenied: the secret',
  ],
  [
    { errorType: 'Sandbox.Timedout', errorMessage: 'Task timed out' },
    'DatabaseUnavailable',
    'resolve-faces Sandbox.Timedout: Task timed out',
  ],
  [{}, 'DatabaseUnavailable', 'resolve-faces : '],
  [null, 'DatabaseUnavailable', /^resolve-faces/],
  [undefined, 'DatabaseUnavailable', /^resolve-faces/],
])('what it threw is thrown under its name: %j', async (thrown, name, message) => {
  const { answer } = asking(() => ({
    FunctionError: 'Unhandled',
    ...(thrown !== undefined && { Payload: payload(thrown) }),
  }));
  await expect(answer).rejects.toMatchObject({
    name,
    message: typeof message === 'string' ? message : expect.stringMatching(message),
  });
});
