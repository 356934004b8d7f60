import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Context } from 'aws-lambda';
import { PipelineError } from '../../../../../lambdas/shared/contract/errors.ts';
import type { Place } from '../../../../../lambdas/shared/contract/payloads.ts';
import {
  lambdaHandler,
  logger,
  metrics,
  telemetry,
} from '../../../../../lambdas/shared/runtime/telemetry.ts';

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

  /** As JoinLine leaves it, of which the attempt is read. */
  const place: Place = { place_ms: 0, wait_until: '', throttles: 4, reindexes: 0, returns: 7 };

  test.each([
    [{ input: { object: { key: 'k' } } }, 1],
    [{ input: { object: { key: 'k' }, place } }, 5],
    [{ input: { object: { key: 'k' }, place: { ...place, throttles: 'many' } } }, 1],
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

  test('the stack of an error that nobody expected says where in the sources it comes from; no other is looked at', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'rollcall-stack-'));
    const bundle = path.join(folder, 'index.mjs');
    const map = { version: 3, sources: ['core.ts'], names: [], mappings: 'AAEA' };
    writeFileSync(`${bundle}.map`, JSON.stringify(map));
    const stackOf = async (error: Error) => {
      error.stack = `Error\n    at f (${pathToFileURL(bundle).href}:1:1)`;
      await printedBy(() =>
        lambdaHandler(() => Promise.reject(error))({}, {} as Context).catch(() => undefined),
      );
      return error.stack;
    };
    await expect(stackOf(new PipelineError('InternalError', 'x'))).resolves.toMatch(/core\.ts:3:1/);
    await expect(stackOf(new TypeError('x'))).resolves.toMatch(/core\.ts:3:1/);
    await expect(stackOf(new PipelineError('LedgerBusy', 'x'))).resolves.toMatch(/index\.mjs:1:1/);
    rmSync(folder, { recursive: true });
  });

  test('what is caught and thrown again is the same error', async () => {
    const error = new PipelineError('InternalError', 'once');
    await printedBy(() =>
      expect(lambdaHandler(() => Promise.reject(error))({}, {} as Context)).rejects.toBe(error),
    );
  });

  test('prints nothing when there is nothing to say', async () => {
    const handler = lambdaHandler(async () => ({}));
    await expect(printedBy(() => handler({}, {} as Context))).resolves.toEqual([]);
  });
});

test('the cores log and count with what the handler resets and publishes', () => {
  expect(telemetry).toEqual({ logger, metrics });
});
