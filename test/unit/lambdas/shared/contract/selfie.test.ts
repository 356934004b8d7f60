import fc from 'fast-check';
import sharp, { type Sharp } from 'sharp';
import { MAX_SELFIE_BYTES } from '../../../../../lambdas/shared/contract/search.ts';
import { readSelfie, selfieFault } from '../../../../../lambdas/shared/contract/selfie.ts';

const made = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: '#876' } });

describe.each([
  ['JPEG', (image: Sharp) => image.jpeg()],
  ['progressive JPEG', (image: Sharp) => image.jpeg({ progressive: true })],
  ['JPEG with metadata', (image: Sharp) => image.withExif({ IFD0: { Copyright: 'x'.repeat(5_000) } }).jpeg()],
  ['PNG', (image: Sharp) => image.png()],
])('a %s', (_, write) => {
  test.each([
    [80, 80, undefined],
    [79, 400, 'ImageTooSmall'],
    [400, 79, 'ImageTooSmall'],
    [1, 1, 'ImageTooSmall'],
    [1_200, 300, undefined],
  ])('of %i by %i pixels', async (width, height, fault) => {
    const bytes = await write(made(width, height)).toBuffer();
    expect(selfieFault(bytes)).toBe(fault);
    expect(readSelfie(bytes.toString('base64'))).toEqual(fault ?? bytes);
  });
});

test.each(['webp', 'gif', 'tiff', 'avif'] as const)('a %s is none', async (format) => {
  expect(selfieFault(await made(200, 200).toFormat(format).toBuffer())).toBe('InvalidImage');
});

test('a picture of just as many bytes as fit is taken, and one more is not', async () => {
  const bytes = await made(200, 200).jpeg().toBuffer();
  const filled = (length: number) => Buffer.concat([bytes, Buffer.alloc(length - bytes.length)]);
  expect(selfieFault(filled(MAX_SELFIE_BYTES))).toBeUndefined();
  expect(readSelfie(filled(MAX_SELFIE_BYTES).toString('base64'))).toHaveLength(MAX_SELFIE_BYTES);
  expect(selfieFault(filled(MAX_SELFIE_BYTES + 1))).toBe('ImageTooLarge');
  expect(readSelfie(filled(MAX_SELFIE_BYTES + 1).toString('base64'))).toBe('ImageTooLarge');
});

test('whatever the bytes are, they are judged', () => {
  const begin = fc.constantFrom(
    '',
    'ffd8ff',
    '89504e470d0a1a0a',
    'ffd8ffe00002',
    'ffd8ffe0ffff',
    'ffd8ffffffff',
  );
  fc.assert(
    fc.property(begin, fc.uint8Array({ maxLength: 200 }), (magic, rest) => {
      const bytes = Buffer.concat([Buffer.from(magic, 'hex'), rest]);
      const fault = selfieFault(bytes);
      expect(['InvalidImage', 'ImageTooSmall', undefined]).toContain(fault);
      expect(readSelfie(bytes.toString('base64'))).toEqual(
        bytes.length === 0 ? 'InvalidImage' : (fault ?? bytes),
      );
    }),
    { numRuns: 2_000 },
  );
});

test('what is not Base64 is not read as something shorter', async () => {
  const base64 = (await made(200, 200).png().toBuffer()).toString('base64');
  for (const at of [0, 10, base64.length - 1]) {
    expect(readSelfie(`${base64.slice(0, at)}*${base64.slice(at + 1)}`)).toBe('InvalidImage');
  }
  expect(readSelfie(base64.replace(/=+$/, ''))).toBeInstanceOf(Buffer);
});
