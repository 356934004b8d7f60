import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { IndexFacesCommand, RekognitionClient } from '@aws-sdk/client-rekognition';
import sharp from 'sharp';
import { AdaptiveRetries } from '../../bench/pacing/adaptive-retries.ts';
import type { BenchOptions } from '../../bench/pacing/bench-options.ts';
import { changingQuotaGoals } from '../../bench/pacing/changing-quota.ts';
import { answer, startChild, stopChild } from '../../bench/pacing/child.ts';
import { bestOf, contest, contestCases } from '../../bench/pacing/contest.ts';
import { documentOf, readReports } from '../../bench/pacing/document.ts';
import { fairnessGoals } from '../../bench/pacing/fairness.ts';
import { fairEnds } from '../../bench/pacing/fluid.ts';
import { frontier } from '../../bench/pacing/frontier.ts';
import { goalsCase, runGoals } from '../../bench/pacing/goal-cases.ts';
import { fairnessSection, readGoals, withGoals } from '../../bench/pacing/goals-document.ts';
import { measure } from '../../bench/pacing/measure.ts';
import { opponents } from '../../bench/pacing/opponents.ts';
import { cases, fileName, parseOptions, UsageError } from '../../bench/pacing/options.ts';
import { plot, writePlot } from '../../bench/pacing/plot.ts';
import { startQueue } from '../../bench/pacing/queue.ts';
import type { RekognitionReport } from '../../bench/pacing/rekognition-server.ts';
import type { Photo } from '../../bench/pacing/world.ts';
import { localClientOptions } from '../../local/clients.ts';
import { uploads } from '../support/uploads.ts';

const options = parseOptions([]) as BenchOptions;

function photos(count: number, lane: 'live' | 'backfill' = 'live'): Photo[] {
  return Array.from({ length: count }, (_, i) => ({
    id: `${lane}-${i}`,
    input: { lane, bucket: 'b', object: { key: `k${i}`, etag: 'e', sequencer: '1' } },
  }));
}

describe('options', () => {
  test('a case is a set of defaults that the command line overrides', () => {
    expect(parseOptions(['--case', 'quota-5'])).toMatchObject({ quota: 5, trueQuota: 5, photos: 300 });
    expect(parseOptions(['--case', 'quota-5', '--photos', '30'])).toMatchObject({ quota: 5, photos: 30 });
    expect(parseOptions(['--true-quota', '30'])).toMatchObject({ quota: 50, trueQuota: 30 });
    expect(parseOptions(['--stop', '20'])).toMatchObject({ stop: { afterS: 30, forS: 20 } });
  });

  test.each([
    [['--photos', 'many'], '--photos takes a whole number of at least 1, not "many"'],
    [['--quota', '0'], '--quota takes a number of at least 0.5, not "0"'],
    [['--strategy', 'hope'], 'There is no strategy hope. There are: slot-ledger'],
    [['--case', 'x'], 'There is no case x'],
    [['--neighbour', '50'], 'A neighbour of 50/s leaves nothing of a quota of 50/s'],
    [['--backfill', '10'], 'Only the slot ledger knows lanes and pauses'],
    [['--nonsense'], "Unknown option '--nonsense'"],
  ])('%s is one line that says what is wrong', (args, message) => {
    expect(() => parseOptions(args)).toThrow(UsageError);
    expect(() => parseOptions(args)).toThrow(message);
  });
});

describe('events beside each other', () => {
  test('each goal has its figure and says whether it holds', () => {
    const goals = fairnessGoals({ seeds: 1, lengths: [300], mixed: 2_000 });
    const of = (part: string) => goals.filter(({ name }) => name.includes(part));
    expect(of('p95, over alone')).toHaveLength(2);
    for (const { median, holds } of of('20 photos beside 300')) {
      expect(median).toBeGreaterThan(0.9);
      expect(holds).toBe(true);
    }
    expect(of('ten events of 30 at once')).toHaveLength(2);
    expect(of('calls throttled')).toMatchObject([{ most: 0, holds: true }]);
    expect(fairnessSection({ case: 'fairness', seeds: 1, goals, holds: true })).toContain(
      '| calls throttled | <= 0.1 % | 0.000 | 0.000 | 0.000 | yes |',
    );
  });

  test('a fair share: half of the quota while two are there, all of it for who is alone', () => {
    const arrivals = uploads([
      { event: 1, photos: 100, atMs: 0 },
      { event: 2, photos: 300, atMs: 0 },
      { event: 3, photos: 50, atMs: 100_000 },
    ]);
    // The calls are made first come, first served: how they are shared out is what is asked.
    const accepted = Float64Array.from(
      arrivals.timesMs,
      (_, call) => Math.max(call, call < 400 ? 0 : 4_600 + call) * 20 + 20,
    );
    const ends = fairEnds(arrivals, { started: arrivals.timesMs, accepted });
    expect(ends.get(1)! / 1_000).toBeCloseTo(4, 1);
    expect(ends.get(2)! / 1_000).toBeCloseTo(8, 1);
    expect(ends.get(3)! / 1_000).toBeCloseTo(101, 1);
  });

  test.each([
    [['--case', 'fairness', '--seeds', '0'], '--seeds takes a whole number of at least 1, not "0"'],
    [['--case', 'fairness', '--photos', 'all'], '--photos takes a whole number of at least 2000, not "all"'],
    [['--case', 'fairness', '--nonsense'], "Unknown option '--nonsense'"],
  ])('%s is one line that says what is wrong', async (args, message) => {
    expect(goalsCase(args)).toBe('fairness');
    await expect(runGoals('fairness', args)).rejects.toThrow(UsageError);
    await expect(runGoals('fairness', args)).rejects.toThrow(message);
  });
});

describe('less than the quota', () => {
  const { neighbour } = contestCases;
  const { points, goals } = contest({ case: neighbour!, seeds: 1, lengths: [300] });

  test('every opponent indexes all photos, and has its figures at each setting', () => {
    const settings = opponents.reduce((sum, { shares }) => sum + shares.length, 0);
    expect(points).toHaveLength(1 + settings);
    for (const { whole, throttled } of points) {
      expect(whole.median).toBeGreaterThan(0.2);
      expect(throttled.median).toBeLessThan(0.6);
    }
    expect(goals).toHaveLength(3 + opponents.length);
  });

  test('the best setting is none that only suits this neighbour', () => {
    const fixed = points.filter(({ strategy }) => strategy.startsWith('API destination'));
    expect(fixed.some(({ alone }) => alone < 0.9)).toBe(true);
    expect(bestOf(fixed).alone).toBeGreaterThan(0.95);
  });

  test('the page has every case, is made anew in its place, and the picture a point of each setting', () => {
    const report = { case: 'neighbour', seeds: 1, goals, points, holds: true };
    const reports = new Map(
      ['fairness', 'changing-quota', 'neighbour', 'true-quota', 'first-photo'].map((name) => [name, report]),
    );
    const page = withGoals('# Pace\n', reports);
    expect(page).toContain('### A neighbour takes 20/s, 300 photos');
    expect(page).toContain('| **Rollcall** | the quota | ');
    expect(withGoals(`${page}after\n`, reports)).toBe(`${page}after\n`);
    expect(frontier([report]).match(/<circle c/g)).toHaveLength(points.length);
    expect(() => readGoals(tmpdir())).toThrow(
      /no results of fairness: npm run bench:pacing -- --case fairness/,
    );
  });

  test('adaptive retries wait for nothing until a call is throttled, then keep a pace that comes back', () => {
    let nowMs = 0;
    const retries = new AdaptiveRetries(() => nowMs);
    /** How many of 400 calls, 5 ms apart, have to wait. */
    const waits = () => {
      let waiting = 0;
      for (let call = 0; call < 400; call++) {
        nowMs += 5;
        if (retries.take() > 0) {
          waiting++;
        } else {
          retries.learn(false);
        }
      }
      return waiting;
    };
    expect(waits()).toBe(0);
    retries.learn(true);
    expect(waits()).toBeGreaterThan(0);
    nowMs += 60_000;
    waits();
    expect(waits()).toBe(0);
  });
});

describe('a quota that changes', () => {
  test('each shape of a run has its share, its throttled calls and its transitions', () => {
    const goals = changingQuotaGoals({ seeds: 1, lengths: [480] });
    expect(goals).toHaveLength(9);
    for (const { median } of goals.filter(({ name }) => name.includes('quota used'))) {
      expect(median).toBeGreaterThan(0.3);
      expect(median).toBeLessThan(1.5);
    }
  });
});

describe('the benchmark’s Rekognition', () => {
  test('lets the quota through to the real SDK client, throttles the rest and reports every call', async () => {
    const { child, greeting } = await startChild<{ port: number }>('rekognition-server.ts', {
      quota: 20,
      latencyMs: 20,
      neighbour: 0,
      seed: 1,
    });
    const client = new RekognitionClient({
      ...localClientOptions,
      endpoint: `http://127.0.0.1:${greeting.port}`,
      maxAttempts: 1,
    });
    const index = (id: string) =>
      client
        .send(
          new IndexFacesCommand({
            CollectionId: 'c',
            ExternalImageId: id,
            Image: { S3Object: { Bucket: 'b', Name: 'n' } },
          }),
        )
        .then(
          (output) => output.FaceRecords!.map(({ Face }) => Face!.FaceId).join(),
          (error: Error) => error.name,
        );
    const burst = await Promise.all(Array.from({ length: 50 }, (_, i) => index(`p${i}`)));
    const throttled = burst.filter((outcome) => outcome === 'ProvisionedThroughputExceededException').length;
    // The bucket of one second, and what ran in while the burst did.
    expect(50 - throttled).toBeGreaterThanOrEqual(20);
    expect(50 - throttled).toBeLessThan(40);
    await sleep(200);
    expect(await index('p0')).toBe(burst[0]);
    child.send('report');
    const { calls } = await answer<RekognitionReport>(child);
    expect(calls).toHaveLength(51);
    expect(calls.filter(({ outcome }) => outcome === 'throttled')).toHaveLength(throttled);
    client.destroy();
    await stopChild(child);
  });
});

describe('the queue of the compared strategies', () => {
  test('never works on more batches than its maximum concurrency, and delivers again what is to come again', async () => {
    let working = 0;
    let most = 0;
    const received: Record<string, number> = {};
    const queue = startQueue({
      batchSize: 3,
      batchWindowMs: 20,
      maxConcurrency: 2,
      maxReceives: 3,
      async consume(batch) {
        most = Math.max(most, ++working);
        await sleep(5);
        working--;
        for (const { photo } of batch) {
          received[photo.id] = (received[photo.id] ?? 0) + 1;
        }
        return new Map(batch.filter(({ photo }) => photo.id === 'live-4').map((message) => [message, 1]));
      },
    });
    for (const photo of photos(20)) {
      queue.take(photo);
    }
    await queue.idle();
    expect(most).toBe(2);
    expect(Object.keys(received)).toHaveLength(20);
    expect(received['live-4']).toBe(3);
    expect(received['live-5']).toBe(1);
  });
});

describe('measure', () => {
  const START = 1_780_000_000_000;
  const mine = photos(4);
  const run = {
    photos: mine,
    started: new Map(mine.map(({ id }) => [id, START])),
    endedMs: START + 5_000,
    report: {
      calls: [
        { atMs: START + 500, photo: 'live-0', outcome: 'accepted' as const },
        { atMs: START + 600, photo: 'live-1', outcome: 'throttled' as const },
        { atMs: START + 1_500, photo: 'live-1', outcome: 'accepted' as const },
        { atMs: START + 2_000, photo: 'live-2', outcome: 'failed' as const },
        { atMs: START + 3_000, photo: 'live-2', outcome: 'accepted' as const },
        { atMs: START + 4_000, photo: 'live-2', outcome: 'accepted' as const },
      ],
      neighbourAccepted: [START + 1, START + 2, START + 3_999, START + 4_500],
    },
    stored: { indexed: 3, failed: 1, faces: 6, failures: { InvalidImageFormat: 1 } },
    transitionsPerPhoto: 5,
    gigabyteSeconds: 1.5,
    pause: undefined,
  };
  const about = { strategy: 's', settings: '', source: '' };

  test('says how much of what the neighbour left was used', () => {
    const measured = measure({ ...options, trueQuota: 2 }, about, run);
    expect(measured).toMatchObject({
      seconds: 4,
      elapsed_s: 5,
      left_per_second: 1.25,
      quota_used: 0.6,
      calls: 6,
      accepted: 4,
      throttled: 1,
      throttled_ratio: 0.16667,
      paid_twice: 1,
      p50_wait_s: 1.5,
      unfinished: 0,
      lambda_gb_s_per_photo: 0.5,
      timeline: { accepted: [1, 1, 0, 1, 1], throttled: [1], failed: [0, 0, 1] },
    });
  });

  test('the plot shows every strategy and its numbers, as an SVG and as a picture', async () => {
    const measured = measure({ ...options, trueQuota: 2 }, { ...about, strategy: 'a <b>' }, run);
    const svg = plot([measured, measured, measured], { title: 'T', quota: 2, left: 1.25 });
    expect(svg.match(/a &lt;b&gt;/g)).toHaveLength(3);
    expect(svg).toContain('60.0 % of the quota used, 16.7 % of 6 calls throttled');
    const folder = mkdtempSync(path.join(tmpdir(), 'rollcall-plot-'));
    await writePlot(path.join(folder, 'plot'), [measured], { title: 'T', quota: 2, left: 1.25 });
    await expect(sharp(path.join(folder, 'plot.png')).metadata()).resolves.toMatchObject({ format: 'png' });
    rmSync(folder, { recursive: true });
  });

  test('the page says who is as good, and asks for the results that it needs', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'rollcall-page-'));
    const of = (strategy: string, quota_used: number, throttled_ratio = 0) => ({
      ...measure({ ...options, trueQuota: 2 }, { ...about, strategy }, run),
      quota_used,
      throttled_ratio,
      paid_twice: 0,
    });
    const ours = of('slot-ledger', 0.98);
    const write = (name: string, compared: boolean, strategies: object[]) =>
      writeFileSync(
        path.join(folder, `${fileName(name, compared)}.json`),
        JSON.stringify({ ...options, strategies }),
      );
    expect(() => readReports(folder)).toThrow(/no results of latency-200: npm run/);
    for (const name of Object.keys(cases)) {
      write(name, false, [ours]);
    }
    write('neighbour', true, [ours, of('even', 0.975), of('hasty', 0.98, 0.2), of('slow', 0.5)]);
    write('quota-5', true, [ours, of('slow', 0.5)]);
    const page = documentOf(readReports(folder));
    expect(page).toContain('| Latency 2 s | 3 of 4 | 0 | 0.980 | 0.00 % | 1.5 s | 5.0 |');
    expect(page).toContain('| slow | 3 of 4 | 4.0 | 0.500 | 0.51 | 0.00 % | 0 | 5.0 | 0.50 |');
    expect(page.match(/As good here.*|None of the others.*/g)).toEqual([
      'None of the others is as good here.',
      'As good here: even.',
    ]);
    rmSync(folder, { recursive: true });
  });
});
