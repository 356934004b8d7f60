import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { Detector, DetectorFailure } from '../../local/rekognition/detector.ts';
import { FairQueue } from '../../local/rekognition/fair-queue.ts';
import { clip, samplePatch } from '../../local/rekognition/pixels.ts';
import { TokenBucket } from '../../local/rekognition/quota.ts';

describe('the detector`s threads', () => {
  /** A thread that does what an image's first byte says. */
  const entry = new URL(
    `data:text/javascript,${encodeURIComponent(`
      import { parentPort, threadId } from 'node:worker_threads';
      parentPort.postMessage({ ready: true });
      parentPort.on('message', ({ image: { data: [order] } }) => {
        if (order === 1) process.exit(1);
        if (order === 2) for (;;);
        if (order === 3) throw new Error('a bug');
        if (order === 4) return parentPort.postMessage({ error: 'no memory' });
        parentPort.postMessage({ faces: [{ score: threadId }] });
      });
    `)}`,
  );
  const detectors: Detector[] = [];
  const create = (workers: number, timeoutMs = 5000, program = entry) => {
    const detector = new Detector({ workers, timeoutMs, entry: program });
    detectors.push(detector);
    return detector;
  };
  afterEach(() => Promise.all(detectors.splice(0).map((detector) => detector.close())));

  const job = (order: number) => ({
    image: { width: 1, height: 1, data: Uint8Array.of(order, 0, 0) },
    attributes: false,
  });

  test('one that dies fails only the image it was at, and is replaced', async () => {
    const detector = create(1);
    const [threadBefore] = await detector.analyse(job(0));
    for (const order of [1, 3]) {
      const [bad, good] = await Promise.allSettled([detector.analyse(job(order)), detector.analyse(job(0))]);
      expect(bad).toMatchObject({ status: 'rejected', reason: expect.any(DetectorFailure) });
      expect(good.status).toBe('fulfilled');
    }
    const [threadAfter] = await detector.analyse(job(0));
    expect(threadAfter!.score).not.toBe(threadBefore!.score);
  });

  test('one that hangs is ended after its time', async () => {
    const detector = create(1, 2_000);
    await detector.analyse(job(0));
    const [hung, next] = await Promise.allSettled([detector.analyse(job(2)), detector.analyse(job(0))]);
    expect(hung).toMatchObject({ reason: { message: 'The detector did not answer within 2000 ms' } });
    expect(next.status).toBe('fulfilled');
  });

  test('an image that it refuses costs no thread', async () => {
    const detector = create(1);
    const [before] = await detector.analyse(job(0));
    await expect(detector.analyse(job(4))).rejects.toThrow('no memory');
    const [after] = await detector.analyse(job(0));
    expect(after!.score).toBe(before!.score);
  });

  test('one that cannot even load fails the images that wait, and does not try for ever', async () => {
    const detector = create(2, 5000, new URL('data:text/javascript,throw new Error("no models")'));
    const answers = await Promise.allSettled([1, 2, 3].map((order) => detector.analyse(job(order))));
    for (const answer of answers) {
      expect(answer).toMatchObject({ status: 'rejected', reason: { message: 'no models' } });
    }
  });

  test('as many work at once as there may be', async () => {
    const detector = create(3);
    const answers = await Promise.all(Array.from({ length: 30 }, () => detector.analyse(job(0))));
    expect(new Set(answers.map(([face]) => face!.score)).size).toBeLessThanOrEqual(3);
  });

  test('closing fails what waits and what runs', async () => {
    const detector = create(1);
    const answers = [detector.analyse(job(2)), detector.analyse(job(0))];
    const settled = Promise.allSettled(answers);
    await sleep(100);
    await detector.close();
    for (const answer of await settled) {
      expect(answer).toMatchObject({ reason: { message: 'The endpoint is shutting down' } });
    }
    await expect(detector.analyse(job(0))).rejects.toThrow('shutting down');
  });
});

describe('the fair queue', () => {
  test('keeps its limit, loses nothing, and lets keys take turns', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 1, max: 4 }),
        async (keys, limit) => {
          const queue = new FairQueue(limit);
          let running = 0;
          const order: string[] = [];
          await Promise.all(
            keys.map((key) =>
              queue.run(key, async () => {
                running++;
                expect(running).toBeLessThanOrEqual(limit);
                order.push(key);
                await null;
                running--;
              }),
            ),
          );
          expect([...order].sort()).toEqual([...keys].sort());
          // Once everybody waits, no key is served twice while another one waits.
          const left = keys.slice(limit);
          const served = order.slice(limit);
          for (const [i, key] of served.entries()) {
            const next = served.indexOf(key, i + 1);
            const between = new Set(served.slice(i, next < 0 ? served.length : next));
            for (const other of new Set(left)) {
              const waits =
                served.indexOf(other, i) > 0 && served.lastIndexOf(other) > (next < 0 ? served.length : next);
              expect(!waits || between.has(other)).toBe(true);
            }
          }
        },
      ),
    );
  });

  test('goes on after a task that fails', async () => {
    const queue = new FairQueue(1);
    const failing = queue.run('a', () => Promise.reject(new Error('no')));
    const next = queue.run('a', async () => 'yes');
    await expect(failing).rejects.toThrow('no');
    expect(await next).toBe('yes');
  });
});

describe('the token bucket', () => {
  test('never lets more through than the rate in any window, plus one second`s burst', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.5, max: 60, noNaN: true }),
        fc.array(fc.integer({ min: -50, max: 700 }), { maxLength: 200 }),
        (rate, steps) => {
          let now = 10_000;
          const bucket = new TokenBucket(rate, () => now);
          const taken: number[] = [];
          for (const step of steps) {
            now += step;
            if (bucket.take()) {
              taken.push(now);
            }
          }
          // Clocks that jump back excepted: they give nothing, but windows are not what they were.
          if (steps.every((step) => step >= 0)) {
            for (const [i, from] of taken.entries()) {
              for (let j = i; j < taken.length; j++) {
                const seconds = (taken[j]! - from) / 1000;
                expect(j - i + 1).toBeLessThanOrEqual(Math.max(1, rate) + seconds * rate + 1e-6);
              }
            }
          }
        },
      ),
    );
  });

  test('at a steady pace below the rate, nothing is refused', () => {
    let now = 0;
    const bucket = new TokenBucket(5, () => now);
    for (let call = 0; call < 100; call++) {
      now += 200;
      expect(bucket.take()).toBe(true);
    }
  });
});

describe('patches', () => {
  const image = {
    width: 7,
    height: 4,
    data: Uint8Array.from({ length: 7 * 4 * 3 }, (_, i) => (i * 37) % 256),
  };

  test('of the image`s own size are the image, with black beside it', () => {
    const patch = samplePatch(image, { x: 0, y: 0, width: 7, height: 4 }, 7, 'end');
    expect([...patch.data.subarray(0, 7 * 4 * 3)]).toEqual([...image.data]);
    expect(Math.max(...patch.data.subarray(7 * 4 * 3))).toBe(0);
    expect(patch.content).toEqual({ x: 0, y: 0, width: 7, height: 4 });
  });

  test('know where each of their points lies in the image, and are grey outside of it', () => {
    const region = { x: -7, y: -4, width: 21, height: 12 };
    const patch = samplePatch(image, region, 21, 'both');
    expect(patch.data[(6 * 21 + 0) * 3]).toBe(128);
    const { x, y } = patch.toImage(7 / 21, 8 / 21);
    expect({ x, y }).toEqual({ x: expect.closeTo(0), y: expect.closeTo(0) });
    expect([...patch.data.subarray((8 * 21 + 7) * 3, (8 * 21 + 7) * 3 + 3)]).toEqual([
      ...image.data.subarray(0, 3),
    ]);
  });

  test('a clipped rectangle lies in the image', () => {
    const number = fc.double({ min: -20, max: 20, noNaN: true });
    fc.assert(
      fc.property(number, number, number, number, (x, y, width, height) => {
        const rect = clip({ x, y, width: Math.abs(width), height: Math.abs(height) }, image);
        if (rect.width > 0 && rect.height > 0) {
          expect(rect.x).toBeGreaterThanOrEqual(0);
          expect(rect.y).toBeGreaterThanOrEqual(0);
          expect(rect.x + rect.width).toBeLessThanOrEqual(image.width);
          expect(rect.y + rect.height).toBeLessThanOrEqual(image.height);
        }
      }),
    );
  });
});
