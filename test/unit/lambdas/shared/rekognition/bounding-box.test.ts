import fc from 'fast-check';
import { faceBoxOf, isSameFace } from '../../../../../lambdas/shared/rekognition/bounding-box.ts';

const box = (Left: number, Top: number, Width = 0.2, Height = 0.2) => ({ Left, Top, Width, Height });
const whole = box(0.4, 0.4);

test.each([
  ['itself', box(0.4, 0.4), true],
  // Two boxes of one size that are so far apart share (1 - x) / (1 + x) of what they cover.
  ['one moved by a quarter of its width', box(0.45, 0.4), true],
  ['one moved by a quarter of its height', box(0.4, 0.35), true],
  ['one moved by half of its width', box(0.5, 0.4), false],
  ['one moved by half of its height', box(0.4, 0.3), false],
  ['one moved a little both ways', box(0.42, 0.38), true],
  ['one moved by a quarter both ways', box(0.45, 0.45), false],
  ['one of half its size inside of it', box(0.4, 0.4, 0.2, 0.1), true],
  ['one of a third of its size inside of it', box(0.4, 0.4, 0.2, 0.066), false],
  ['one of twice its size around it', box(0.4, 0.3, 0.2, 0.4), true],
  ['one of three times its size around it', box(0.3, 0.3, 0.3, 0.4), false],
  ['its neighbour', box(0.6, 0.4), false],
  ['one far away in both ways', box(0, 0), false],
  ['one far away that is large', box(0.7, 0.7, 5, 5), false],
  ['nothing of that size', box(0.4, 0.4, 0, 0), false],
])('a face is the same as %s: %s', (_, other, same) => {
  expect([isSameFace(whole, other), isSameFace(other, whole)]).toEqual([same, same]);
});

test('boxes of no size are nobody’s', () => {
  const none = box(0.4, 0.4, 0, 0);
  expect(isSameFace(none, none)).toBe(false);
});

test('is as the share of what both cover together says, wherever they are', () => {
  const side = fc.integer({ min: 0, max: 20 });
  const any = fc.record({ Left: side, Top: side, Width: side, Height: side });
  fc.assert(
    fc.property(any, any, (a, b) => {
      let shared = 0;
      let covered = 0;
      const holds = (of: typeof a, x: number, y: number) =>
        x >= of.Left && x < of.Left + of.Width && y >= of.Top && y < of.Top + of.Height;
      for (let x = 0; x < 40; x++) {
        for (let y = 0; y < 40; y++) {
          shared += holds(a, x, y) && holds(b, x, y) ? 1 : 0;
          covered += holds(a, x, y) || holds(b, x, y) ? 1 : 0;
        }
      }
      expect(isSameFace(a, b)).toBe(shared > 0 && 2 * shared >= covered);
    }),
  );
});

test.each<[value: unknown]>([
  [undefined],
  [null],
  ['box'],
  [{}],
  ...(['Left', 'Top', 'Width', 'Height'] as const).flatMap((side): [unknown][] => [
    [{ ...whole, [side]: undefined }],
    [{ ...whole, [side]: '0.1' }],
    [{ ...whole, [side]: Number.NaN }],
  ]),
])('%j is not a box, and the same as nothing', (value) => {
  expect(faceBoxOf(value)).toBeNull();
  expect([isSameFace(value, whole), isSameFace(whole, value), isSameFace(value, value)]).toEqual([
    false,
    false,
    false,
  ]);
});

test('a box has the names that answers have', () => {
  expect(faceBoxOf({ ...box(0.1, 0.2, 0.3, 0.4), Depth: 1 })).toEqual({
    left: 0.1,
    top: 0.2,
    width: 0.3,
    height: 0.4,
  });
});
