import { ProblemError } from '../../../../../lambdas/shared/http/problems.ts';

test.each([
  ['bad-request', 400, 'The request is not understood'],
  ['unknown-event', 404, 'There is no such event'],
  ['unsupported-media-type', 415, 'The body is of another type'],
  ['cursor-outdated', 410, 'The cursor is of another database'],
  ['not-now', 503, 'There is no answer at the moment'],
  ['internal', 500, 'Something is wrong in here'],
] as const)('%s has the status %i', (kind, status, title) => {
  const error = new ProblemError(kind, 'What was wrong.', 30);
  expect(error.problem).toEqual({
    type: `urn:problem-type:rollcall:${kind}`,
    title,
    status,
    detail: 'What was wrong.',
  });
  expect([error.name, error.message, error.retryAfterSeconds]).toEqual([
    'ProblemError',
    'What was wrong.',
    30,
  ]);
});

test('another kind of problem says all of it', () => {
  const { problem, retryAfterSeconds } = new ProblemError(
    { type: 'no-face', status: 422, title: 'None' },
    'No.',
  );
  expect(problem).toEqual({
    type: 'urn:problem-type:rollcall:no-face',
    title: 'None',
    status: 422,
    detail: 'No.',
  });
  expect(retryAfterSeconds).toBeUndefined();
});
