import fc from 'fast-check';
import { clip, mirror, samplePatch } from '../../local/rekognition/pixels.ts';

const rgbImage = fc
  .tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }))
  .chain(([width, height]) =>
    fc
      .uint8Array({ minLength: width * height * 3, maxLength: width * height * 3 })
      .map((data) => ({ width, height, data })),
  );

test('a mirrored patch shows each pixel on the other side, and mirrored again it is as before', () => {
  fc.assert(
    fc.property(rgbImage, fc.integer({ min: 1, max: 8 }), (image, size) => {
      const patch = samplePatch(image, { x: 0, y: 0, ...image }, size, 'both');
      const mirrored = mirror(patch);
      for (let pixel = 0; pixel < size * size; pixel++) {
        const other = pixel - (pixel % size) + (size - 1 - (pixel % size));
        expect(mirrored.data.slice(3 * pixel, 3 * pixel + 3)).toEqual(
          patch.data.slice(3 * other, 3 * other + 3),
        );
      }
      expect(mirrored.toImage(0.25, 0.5)).toEqual(patch.toImage(0.75, 0.5));
      const again = mirror(mirrored);
      expect(again.data).toEqual(patch.data);
      expect(again.content).toEqual(patch.content);
    }),
  );
});

test('what is clipped lies within the bounds, wherever they begin', () => {
  const rect = fc.record({
    x: fc.integer({ min: -20, max: 20 }),
    y: fc.integer({ min: -20, max: 20 }),
    width: fc.integer({ min: 1, max: 20 }),
    height: fc.integer({ min: 1, max: 20 }),
  });
  fc.assert(
    fc.property(rect, rect, (one, bounds) => {
      const { x, y, width, height } = clip(one, bounds);
      fc.pre(width > 0 && height > 0);
      expect(x).toBe(Math.max(one.x, bounds.x));
      expect(y).toBe(Math.max(one.y, bounds.y));
      expect(x + width).toBe(Math.min(one.x + one.width, bounds.x + bounds.width));
      expect(y + height).toBe(Math.min(one.y + one.height, bounds.y + bounds.height));
    }),
  );
});
