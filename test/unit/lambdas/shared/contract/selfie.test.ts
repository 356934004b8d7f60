import fc from 'fast-check';
import sharp, { type Sharp } from 'sharp';
import { MAX_SELFIE_BASE64, MAX_SELFIE_BYTES } from '../../../../../lambdas/shared/contract/search.ts';
import { readSelfie, selfieFault, selfieRefusal } from '../../../../../lambdas/shared/contract/selfie.ts';

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

describe('the segments of a JPEG', () => {
  const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');
  /** Ends just where the size does: 300 high, 200 wide. */
  const frame = (marker = 'c0') => `ff${marker} 0011 08 012c 00c8`;
  const small = 'ffc0 0011 08 0001 0001';
  const jpeg = (...segments: string[]) => selfieFault(hex(`ffd8 ${segments.join(' ')}`));

  test('a frame of any process has the size', () => {
    expect(jpeg(frame())).toBeUndefined();
    expect(jpeg(small)).toBe('ImageTooSmall');
    const markers = Array.from({ length: 16 }, (_, i) => (0xc0 + i).toString(16));
    // Without a table of Huffman codes, a reserved one and arithmetic conditioning, which lie between.
    const frames = markers.filter((marker) => jpeg(frame(marker)) === undefined);
    expect(frames).toEqual(markers.filter((marker) => !['c4', 'c8', 'cc'].includes(marker)));
    for (const marker of ['c4', 'c8', 'cc', 'bf', 'd9', 'e0', 'fe']) {
      // Skipped by its length, with what looks like a frame in it.
      expect([marker, jpeg(`ff${marker} 000b ${small}`, frame())]).toEqual([marker, undefined]);
    }
  });

  test('a marker that stands alone has no length', () => {
    for (const marker of ['01', 'd0', 'd1', 'd4', 'd7', 'd8']) {
      expect([marker, jpeg(`ff${marker}`, frame())]).toEqual([marker, undefined]);
    }
    // Taken for one of those, its length would be no marker.
    for (const marker of ['02', 'd9']) {
      expect([marker, jpeg(`ff${marker} 0002`, frame())]).toEqual([marker, undefined]);
    }
  });

  test('fill bytes may stand before any of them', () => {
    expect(jpeg('ffffff', frame())).toBeUndefined();
    expect(jpeg('ffe0 0002', 'ff', frame())).toBeUndefined();
    expect(jpeg('ffe0 0004 0000', frame())).toBeUndefined();
  });

  test('what is no marker, or ends before the size, is no picture', () => {
    expect(jpeg('ffe0 0002', '00', frame())).toBe('InvalidImage');
    expect(jpeg(frame().slice(0, -2))).toBe('InvalidImage');
    expect(jpeg('ffe0 0002')).toBe('InvalidImage');
    expect(selfieFault(hex(`0000 ${frame()}`))).toBe('InvalidImage');
    expect(selfieFault(hex(`ffd7 ${frame()}`))).toBe('InvalidImage');
  });
});

test('a PNG ends its size with its 24th byte', () => {
  const png = Buffer.from('89504e470d0a1a0a0000000d49484452000000c80000012c', 'hex');
  expect(png).toHaveLength(24);
  expect(selfieFault(png)).toBeUndefined();
  expect(selfieFault(png.subarray(0, 23))).toBe('InvalidImage');
});

test('the padding of Base64 is whole, half or missing, and nothing but it is no picture', async () => {
  const picture = await made(200, 200).png().toBuffer();
  for (const more of [0, 1, 2]) {
    const bytes = Buffer.concat([picture, Buffer.alloc((3 - (picture.length % 3)) % 3), Buffer.alloc(more)]);
    const base64 = bytes.toString('base64');
    expect(base64.endsWith('=')).toBe(more > 0);
    expect(readSelfie(base64)).toEqual(bytes);
    const unpadded = base64.replace(/=+$/, '');
    expect(readSelfie(unpadded)).toEqual(bytes);
    // What is wrong just before it is as wrong as anywhere else.
    expect(readSelfie(`${unpadded}*${base64.slice(unpadded.length)}`)).toBe('InvalidImage');
    expect(readSelfie(`${unpadded}*`)).toBe('InvalidImage');
  }
  for (const text of ['', '=', '==', '===', 'A=A=', '=AAA', 'AA===']) {
    expect([text, readSelfie(text)]).toEqual([text, 'InvalidImage']);
  }
});

test('a person is told why, in a sentence', async () => {
  expect(selfieRefusal(await made(200, 200).jpeg().toBuffer())).toBeUndefined();
  expect(selfieRefusal(Buffer.from('a text'))).toBe('The picture is not a JPEG or PNG.');
});

test('what is longer than any picture is not looked at, whatever it is', () => {
  expect(readSelfie('*'.repeat(MAX_SELFIE_BASE64))).toBe('InvalidImage');
  expect(readSelfie('*'.repeat(MAX_SELFIE_BASE64 + 1))).toBe('ImageTooLarge');
});
