import type { RDSDataClient } from '@aws-sdk/client-rds-data';
import { bootstrapDatabase } from '../../../lambdas/bootstrap-database/bootstrap-database.ts';
import { awsError, fakeClient } from '../../support/fake-client.ts';

const target = { clusterArn: 'arn:cluster', secretArn: 'arn:secret', database: 'rollcall' };

/** A Data API that answers with these errors first, and a clock that only `sleep` moves. */
function dataApi(errors: (attempt: number) => Error | undefined) {
  let attempt = 0;
  let clock = 0;
  const { client, calls } = fakeClient<RDSDataClient>({
    ExecuteStatement: () => {
      const error = errors(attempt++);
      if (error) {
        throw error;
      }
      return {};
    },
  });
  const sleep = async (ms: number) => {
    clock += ms;
  };
  const deps = { rdsData: client, sleep, now: () => clock };
  return { run: () => bootstrapDatabase(deps, target, 'DO 1'), calls, elapsed: () => clock };
}

test('runs the statement once when the cluster is awake', async () => {
  const { run, calls, elapsed } = dataApi(() => undefined);
  expect(await run()).toBe(true);
  expect(calls).toEqual([
    [
      'ExecuteStatement',
      { resourceArn: 'arn:cluster', secretArn: 'arn:secret', database: 'rollcall', sql: 'DO 1' },
    ],
  ]);
  expect(elapsed()).toBe(0);
});

test.each(['DatabaseResumingException', 'DatabaseUnavailableException', 'StatementTimeoutException'])(
  'waits for a cluster that answers %s',
  async (name) => {
    const { run, calls, elapsed } = dataApi((attempt) => (attempt < 5 ? awsError(name) : undefined));
    await run();
    expect(calls).toHaveLength(6);
    expect(elapsed()).toBe(15_000);
  },
);

test.each([
  ['DatabaseErrorException', 'FATAL: PAM authentication failed for user "rollcall_admin"; SQLState: 28000'],
  ['BadRequestException', 'FATAL: password authentication failed for user "rollcall_admin"'],
])('takes a master that may not log in any more (%s) for one that has done it', async (name, message) => {
  const { run, calls } = dataApi(() => awsError(name, 400, message));
  expect(await run()).toBe(false);
  expect(calls).toHaveLength(1);
});

test('gives up after two minutes', async () => {
  const { run, elapsed } = dataApi(() => awsError('DatabaseResumingException', 400, 'is resuming'));
  await expect(run()).rejects.toMatchObject({
    name: 'DatabaseUnavailable',
    message: 'The RDS Data API DatabaseResumingException: is resuming (request request-1)',
  });
  expect(elapsed()).toBe(120_000);
});

test('does not repeat what cannot get better', async () => {
  const { run, calls } = dataApi(() => awsError('BadRequestException', 400, 'syntax error'));
  await expect(run()).rejects.toMatchObject({ name: 'DatabaseMisconfigured' });
  expect(calls).toHaveLength(1);
});
