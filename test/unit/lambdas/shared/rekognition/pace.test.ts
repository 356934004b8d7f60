import fc from 'fast-check';
import { evenPace } from '../../../../../lambdas/shared/rekognition/pace.ts';

test('however calls come, together or one by one, no two are made within an interval, and none waits without need', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 50 }),
      fc.array(fc.integer({ min: 0, max: 1_500 }), { minLength: 2, maxLength: 30 }),
      async (perSecond, gaps) => {
        let nowMs = 1_000_000;
        const made: number[] = [];
        let startsMs = 0;
        const pace = evenPace(perSecond, {
          now: () => nowMs,
          // Nobody's clock stands still for the others: what is slept is added to the call's own start.
          sleep: async (ms) => {
            startsMs += ms;
          },
        });
        const asked: number[] = [];
        for (const gap of gaps) {
          nowMs += gap;
          startsMs = nowMs;
          asked.push(nowMs);
          await pace();
          made.push(startsMs);
        }
        const intervalMs = 1_000 / perSecond;
        for (let i = 1; i < made.length; i++) {
          expect(made[i]! - made[i - 1]!).toBeGreaterThanOrEqual(intervalMs - 1e-6);
          expect(made[i]!).toBeCloseTo(Math.max(asked[i]!, made[i - 1]! + intervalMs), 3);
        }
      },
    ),
  );
});
