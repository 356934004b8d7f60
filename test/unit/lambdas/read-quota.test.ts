import type { ServiceQuotasClient } from '@aws-sdk/client-service-quotas';
import { readQuota } from '../../../lambdas/read-quota/read-quota.ts';
import { logEvents, metricNames } from '../../../lambdas/shared/contract/names.ts';
import { followQuota } from '../../../lambdas/shared/line/quota.ts';
import { awsError, fakeClient } from '../../support/fake-client.ts';
import { recordingTelemetry } from '../../support/recording-telemetry.ts';

async function read(answer: () => unknown, before?: number) {
  const { client, calls } = fakeClient<ServiceQuotasClient>({ GetServiceQuota: answer });
  const telemetry = recordingTelemetry();
  const set: number[] = [];
  const reading = await readQuota({
    quotas: client,
    ledger: {
      read: async () => (before === undefined ? {} : { quota_per_second: before }),
      setQuota: async (perSecond) => {
        set.push(perSecond);
      },
    },
    telemetry: telemetry.telemetry,
  });
  return { reading, set, calls, telemetry };
}
const says = (Value: unknown) => () => ({ Quota: { Value } });

test('asks for the quota of IndexFaces', async () => {
  const { calls } = await read(says(50));
  expect(calls).toEqual([['GetServiceQuota', { ServiceCode: 'rekognition', QuotaCode: 'L-7C13EBAD' }]]);
});

test.each([
  ['the first time', undefined, 50, [50], 0],
  ['unchanged', 50, 50, [], 0],
  ['raised', 50, 120, [120], 1],
  ['lowered', 50, 5, [5], 1],
])('%s', async (_, before, now, set, changes) => {
  const result = await read(says(now), before);
  expect(result.reading).toEqual({ per_second: now, before: before ?? null });
  expect(result.set).toEqual(set);
  expect(result.telemetry.recorded).toContainEqual(
    expect.objectContaining({ name: metricNames.quotaChanges, value: changes }),
  );
  expect(result.telemetry.lines).toEqual(
    set.map((per_second) => ({
      level: 'info',
      message: 'IndexFaces has this quota',
      event: logEvents.quotaRead,
      per_second,
      before: before ?? null,
    })),
  );
});

const fail = (error: Error) => () => {
  throw error;
};
test.each([
  ['a Region that knows it not', fail(awsError('NoSuchResourceException')), /NoSuchResourceException/],
  ['a right that was taken away', fail(awsError('AccessDeniedException')), /AccessDeniedException/],
  ['a service that is throttled', fail(awsError('TooManyRequestsException')), /TooManyRequestsException/],
  [
    'a Region without the service',
    fail(Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' })),
    /getaddrinfo/,
  ],
  ['an answer without a number', () => ({}), /^Service Quotas says undefined$/],
  ['an answer of nothing', says(0), /^Service Quotas says 0$/],
])('%s leaves what was read before', async (_, answer, because) => {
  const { reading, set, telemetry } = await read(answer, 80);
  expect(reading).toEqual({ per_second: null, before: 80 });
  expect(set).toEqual([]);
  expect(telemetry.lines).toContainEqual({
    level: 'warn',
    message: expect.stringMatching(because),
    event: logEvents.quotaNotKnown,
  });
});

test('less than one call a second is a quota', async () => {
  const { reading } = await read(says(0.5));
  expect(reading).toEqual({ per_second: 0.5, before: null });
});

describe('followed while calls are made', () => {
  const follow = (ledger: Parameters<typeof followQuota>[0]['ledger']) => {
    const telemetry = recordingTelemetry();
    const { client: quotas, calls } = fakeClient<ServiceQuotasClient>({ GetServiceQuota: says(80) });
    return {
      telemetry,
      calls,
      done: followQuota({ quotas, telemetry: telemetry.telemetry, ledger }),
    };
  };

  test.each([
    ['a change', 50, 1],
    ['the first reading', undefined, 0],
  ])('%s', async (_, before, changes) => {
    const { done, telemetry, calls } = follow({
      followQuota: async (ask) => ({ perSecond: (await ask())!, before }),
    });
    await done;
    expect(calls).toHaveLength(1);
    expect(telemetry.recorded.filter(({ name }) => name === metricNames.quotaChanges)).toHaveLength(changes);
    expect(telemetry.lines).toContainEqual({
      level: 'info',
      message: expect.any(String),
      event: logEvents.quotaRead,
      per_second: 80,
      before: before ?? null,
    });
  });

  test('nothing is said while nobody has to ask', async () => {
    const { done, telemetry, calls } = follow({ followQuota: async () => undefined });
    await done;
    expect([calls, telemetry.recorded, telemetry.lines]).toEqual([[], [], []]);
  });

  test('no failure of it reaches the photo', async () => {
    const { done, telemetry } = follow({ followQuota: () => Promise.reject(new Error('hot')) });
    await expect(done).resolves.toBeUndefined();
    expect(JSON.stringify(telemetry.lines)).toContain('could not be followed');
  });
});
