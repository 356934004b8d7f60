import type { Context } from 'aws-lambda';
import { PipelineError } from '../../../../../lambdas/shared/contract/errors.ts';
import { lambdaHandler, logger, metrics } from '../../../../../lambdas/shared/runtime/telemetry.ts';

/** What a function printed while it worked, line by line. */
async function printedBy(work: () => Promise<unknown>): Promise<Record<string, unknown>[]> {
  const lines: string[] = [];
  const streams = [process.stdout, process.stderr];
  const writes = streams.map((stream) => stream.write);
  for (const stream of streams) {
    stream.write = ((text: string) => lines.push(text) > 0) as typeof stream.write;
  }
  try {
    await work();
  } finally {
    streams.forEach((stream, index) => {
      stream.write = writes[index]!;
    });
  }
  return lines
    .join('')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('lambdaHandler', () => {
  test('counts a failed attempt as a whole and by its error, in one line', async () => {
    const handler = lambdaHandler(async () => {
      throw new PipelineError('LedgerBusy', 'too many at once');
    });
    const lines = await printedBy(() => handler({}, {} as Context).catch(() => {}));
    const [metric, ...others] = lines.filter(({ _aws }) => _aws);
    expect(others).toEqual([]);
    expect(lines.filter(({ event }) => event)).toMatchObject([
      { event: 'attempt.failed', error_type: 'LedgerBusy', retryable: true, message: 'too many at once' },
    ]);
    expect(metric).toMatchObject({
      _aws: {
        CloudWatchMetrics: [
          {
            Namespace: 'Rollcall',
            Dimensions: [['service'], ['service', 'Error']],
            Metrics: [{ Name: 'FailedAttempts', Unit: 'Count' }],
          },
        ],
      },
      service: 'rollcall',
      Error: 'LedgerBusy',
      FailedAttempts: 1,
    });
  });

  test.each([
    [{ input: { object: { key: 'k' } } }, 1],
    [{ input: { object: { key: 'k' }, slot: { throttles: 4 } } }, 5],
    [{ input: { object: { key: 'k' }, slot: { throttles: 'many' } } }, 1],
    [{ Records: [] }, undefined],
    [null, undefined],
  ])('says which attempt of a photo failed: %j', async (request, attempt) => {
    const handler = lambdaHandler(async () => {
      throw new PipelineError('RekognitionThrottled', 'slow down');
    });
    const lines = await printedBy(() => handler(request, {} as Context).catch(() => {}));
    const failed = lines.filter(({ event }) => event === 'attempt.failed');
    expect(failed.map((line) => line.attempt)).toEqual([attempt]);
  });

  test('every line names the photo that it is about, and no other', async () => {
    const photo = { event_id: 'e1', photo_id: 'p1' };
    const handler = lambdaHandler(async () => logger.info('At work'));
    const lines = await printedBy(async () => {
      await handler({ execution_arn: 'arn:1', input: { object: { key: 'k1' }, photo } }, {
        awsRequestId: 'r1',
      } as Context);
      logger.appendKeys({ left_behind: 'by a core' });
      await handler({ execution_arn: 'arn:2', input: { object: { key: 'k2' } } }, {
        awsRequestId: 'r2',
      } as Context);
      await handler(undefined, { awsRequestId: 'r3' } as Context);
    });
    const keys = ({
      request_id,
      execution_arn,
      key,
      event_id,
      photo_id,
      left_behind,
    }: Record<string, unknown>) => ({
      request_id,
      execution_arn,
      key,
      event_id,
      photo_id,
      left_behind,
    });
    expect(lines.map(keys)).toEqual([
      { request_id: 'r1', execution_arn: 'arn:1', key: 'k1', ...photo, left_behind: undefined },
      keys({ request_id: 'r2', execution_arn: 'arn:2', key: 'k2' }),
      keys({ request_id: 'r3' }),
    ]);
  });

  test.each(['returns', 'throws'])('publishes the metrics of a core that %s, once', async (how) => {
    const handler = lambdaHandler(async () => {
      metrics.addMetric('FacesIndexed', 'Count', 3);
      if (how === 'throws') {
        throw new PipelineError('LedgerBusy', 'too many at once');
      }
    });
    const lines = await printedBy(() => handler({}, {} as Context).catch(() => {}));
    expect(lines.filter(({ FacesIndexed }) => FacesIndexed !== undefined)).toMatchObject([
      { FacesIndexed: 3 },
    ]);
    await expect(printedBy(() => lambdaHandler(async () => ({}))({}, {} as Context))).resolves.toEqual([]);
  });

  test.each([
    ['of ours', new PipelineError('SlotExpired', 'late'), 'SlotExpired', 'late'],
    [
      'whose name is one of ours',
      Object.assign(new Error('twice'), { name: 'IdempotencyAlreadyInProgressError' }),
      'IdempotencyAlreadyInProgressError',
      'twice',
    ],
    ['of nobody', new TypeError('x is not a function'), 'InternalError', 'TypeError: x is not a function'],
    ['that is none', 'just a text', 'InternalError', expect.stringContaining('just a text')],
  ])('an error %s leaves with a name that the state machine knows', async (_, thrown, name, message) => {
    const handler = lambdaHandler(async () => {
      throw thrown;
    });
    let error: unknown;
    await printedBy(() =>
      handler({}, {} as Context).catch((left: unknown) => {
        error = left;
      }),
    );
    expect(error).toBeInstanceOf(PipelineError);
    expect(error).toMatchObject({ name, message });
    expect(error).toMatchObject(error === thrown ? {} : { cause: thrown });
  });

  test('prints nothing when there is nothing to say', async () => {
    const handler = lambdaHandler(async () => ({}));
    await expect(printedBy(() => handler({}, {} as Context))).resolves.toEqual([]);
  });
});
