import type { Context } from 'aws-lambda';
import { PipelineError } from '../../lambdas/shared/contract/errors.ts';
import { lambdaHandler } from '../../lambdas/shared/runtime/telemetry.ts';

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

  test('prints nothing when there is nothing to say', async () => {
    const handler = lambdaHandler(async () => ({}));
    await expect(printedBy(() => handler({}, {} as Context))).resolves.toEqual([]);
  });
});
