/**
 * What cameras, phones and editors make of one photo: Rekognition has to see the same picture in each. The detector is a
 * recorder, because equal pixels have equal faces.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { crc32, deflateSync } from 'node:zlib';
import sharp, { type PngOptions } from 'sharp';
import { checkUpload } from '../../lambdas/shared/photos/upload-check.ts';
import { ImageSource } from '../../local/rekognition/images.ts';
import type { RgbImage } from '../../local/rekognition/pixels.ts';

const SAMPLES = path.join(
  path.dirname(createRequire(import.meta.url).resolve('@vladmandic/face-api/package.json')),
  'demo',
);
const WIDTH = 240;
const HEIGHT = 160;

let seen: RgbImage[] = [];
const source = new ImageSource({
  concurrency: 1,
  getObject: () => Promise.reject(new Error('No object is asked for')),
  detector: {
    analyse: async ({ image }) => {
      seen.push(image);
      return [];
    },
  },
});
beforeEach(() => {
  seen = [];
});

/** The upright picture, and another with other people. */
let pixels: Buffer;
let otherPixels: Buffer;
let jpeg: Buffer;

beforeAll(async () => {
  const raw = async (n: number) =>
    sharp(await readFile(path.join(SAMPLES, `sample${n}.jpg`)))
      .resize(WIDTH, HEIGHT, { fit: 'cover' })
      .removeAlpha()
      .raw()
      .toBuffer();
  pixels = await raw(1);
  otherPixels = await raw(3);
  jpeg = await toJpeg(pixels);
});

function toJpeg(data: Buffer, width = WIDTH, height = HEIGHT): Promise<Buffer> {
  return sharp(data, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 97, chromaSubsampling: '4:4:4' })
    .toBuffer();
}

const toPng = (options: PngOptions = {}) =>
  sharp(pixels, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } })
    .png(options)
    .toBuffer();

/** How far two pictures are from each other: the mean of what each value differs. */
function distance(a: Uint8Array, b: Uint8Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((sum, value, i) => sum + Math.abs(value - b[i]!), 0) / a.length;
}

async function expectUpright(file: Buffer, expected = pixels): Promise<void> {
  const { width, height } = await source.analyse('line', { bytes: file } as never, false);
  expect([width, height]).toEqual([WIDTH, HEIGHT]);
  const [image] = seen;
  expect([image!.width, image!.height]).toEqual([WIDTH, HEIGHT]);
  expect(distance(image!.data, expected)).toBeLessThan(3);
}

/** Pixels as a camera stores them that was held so: https://www.cipa.jp/std/documents/e/DC-X008-Translation-2019-E.pdf */
function stored(orientation: number): { data: Buffer; width: number; height: number } {
  const turned = orientation >= 5;
  const [width, height] = turned ? [HEIGHT, WIDTH] : [WIDTH, HEIGHT];
  const data = Buffer.alloc(pixels.length);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      // Where the first row and the first column lie in the upright picture.
      const [along, down] = turned ? [row, column] : [column, row];
      const x = [2, 3, 6, 7].includes(orientation) ? WIDTH - 1 - along : along;
      const y = [3, 4, 7, 8].includes(orientation) ? HEIGHT - 1 - down : down;
      pixels.copy(data, 3 * (row * width + column), 3 * (y * WIDTH + x), 3 * (y * WIDTH + x) + 3);
    }
  }
  return { data, width, height };
}

/** TIFF's structure with the one tag. */
function exif(orientation: number): Buffer {
  const tiff = Buffer.alloc(26);
  tiff.write('MM\0*', 0, 'latin1');
  tiff.writeUInt32BE(8, 4);
  tiff.writeUInt16BE(1, 8);
  tiff.writeUInt16BE(0x0112, 10);
  tiff.writeUInt16BE(3, 12);
  tiff.writeUInt32BE(1, 14);
  tiff.writeUInt16BE(orientation, 18);
  return tiff;
}

/** Puts segments behind the start of a JPEG. */
function withSegments(file: Buffer, ...segments: Buffer[]): Buffer {
  const parts = segments.map((content) => {
    const head = Buffer.from([0xff, 0xe1, 0, 0]);
    head.writeUInt16BE(content.length + 2, 2);
    return Buffer.concat([head, content]);
  });
  return Buffer.concat([file.subarray(0, 2), ...parts, file.subarray(2)]);
}
const exifSegment = (orientation: number) =>
  Buffer.concat([Buffer.from('Exif\0\0', 'latin1'), exif(orientation)]);

function chunk(type: string, content: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), content]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(content.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

/** Puts chunks behind the header of a PNG. */
function withChunks(png: Buffer, ...chunks: Buffer[]): Buffer {
  const end = 8 + 25;
  return Buffer.concat([png.subarray(0, end), ...chunks, png.subarray(end)]);
}

describe('a camera that was held in another way', () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])('orientation %i', async (orientation) => {
    const { data, width, height } = stored(orientation);
    await expectUpright(withSegments(await toJpeg(data, width, height), exifSegment(orientation)));
  });

  test.each([0, 9, 255, 65_535])('an orientation that there is not: %i', async (orientation) => {
    await expectUpright(withSegments(jpeg, exifSegment(orientation)));
  });

  test('in a PNG', async () => {
    const { data, width, height } = stored(6);
    const png = await sharp(data, { raw: { width, height, channels: 3 } })
      .png()
      .toBuffer();
    await expectUpright(withChunks(png, chunk('eXIf', exif(6))));
  });

  test('told twice: the first counts', async () => {
    const { data, width, height } = stored(6);
    const file = await toJpeg(data, width, height);
    const metadata = Buffer.from('http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>');
    for (const second of [exifSegment(6), exifSegment(1), exifSegment(3), metadata]) {
      seen = [];
      await expectUpright(withSegments(file, exifSegment(6), second));
    }
  });
});

describe('a JPEG', () => {
  test('whose scan says nothing of its spectrum, as some phones write it', async () => {
    const file = Buffer.from(jpeg);
    const scan = file.indexOf(Buffer.from([0xff, 0xda]));
    const length = file.readUInt16BE(scan + 2);
    file.fill(0, scan + 2 + length - 3, scan + 2 + length);
    await expectUpright(file);
  });

  test('without an end, and with a phone’s trailer behind it', async () => {
    const trailer = Buffer.from('\0\0\x01\x0aImage_UTC_Data1700000000000SEFHk\0\0\0SEFT', 'latin1');
    await expectUpright(Buffer.concat([jpeg, trailer]));
    seen = [];
    await expectUpright(Buffer.concat([jpeg.subarray(0, -2), trailer]));
  });

  test('with a second picture behind it: the first counts', async () => {
    await expectUpright(Buffer.concat([jpeg, await toJpeg(otherPixels)]));
  });
});

describe('a PNG', () => {
  test.each([
    ['interlaced', { progressive: true }],
    ['with a palette', { palette: true, colours: 256, dither: 0, quality: 100 }],
  ])('%s', async (_, options) => {
    await expectUpright(await toPng(options));
  });

  test('in gray, with an alpha channel', async () => {
    const file = await sharp(pixels, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } })
      .greyscale()
      .toColourspace('b-w')
      .ensureAlpha()
      .png()
      .toBuffer();
    // Color type 4.
    expect(file[25]).toBe(4);
    const gray = await sharp(pixels, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } })
      .greyscale()
      .toColourspace('b-w')
      .raw()
      .toBuffer();
    await expectUpright(file, Buffer.from([...gray].flatMap((value) => [value, value, value])));
  });

  test('with other people in its second frame: the first counts', async () => {
    const file = await toPng();
    const control = (sequence: number) => {
      const content = Buffer.alloc(26);
      content.writeUInt32BE(sequence, 0);
      content.writeUInt32BE(WIDTH, 4);
      content.writeUInt32BE(HEIGHT, 8);
      content.writeUInt16BE(1, 20);
      content.writeUInt16BE(10, 22);
      return chunk('fcTL', content);
    };
    const animation = Buffer.alloc(8);
    animation.writeUInt32BE(2);
    const rows = Buffer.concat(
      Array.from({ length: HEIGHT }, (_row, y) =>
        Buffer.concat([Buffer.from([0]), otherPixels.subarray(3 * WIDTH * y, 3 * WIDTH * (y + 1))]),
      ),
    );
    const second = chunk('fdAT', Buffer.concat([Buffer.from([0, 0, 0, 2]), deflateSync(rows)]));
    const first = withChunks(file, chunk('acTL', animation), control(0));
    const end = first.length - 12;
    await expectUpright(Buffer.concat([first.subarray(0, end), control(1), second, first.subarray(end)]));
  });
});

test('what it is, its bytes say and not its name', async () => {
  const image = sharp(pixels, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } });
  const named: [string, Buffer, boolean][] = [
    ['jpeg.png', jpeg, true],
    ['png.jpg', await toPng(), true],
    ['tiff.jpg', await image.clone().tiff().toBuffer(), false],
    ['webp.jpg', await image.clone().webp().toBuffer(), false],
    ['page.jpg', Buffer.from('<!doctype html><title>404</title>'.padEnd(500)), false],
  ];
  for (const [name, file, isPhoto] of named) {
    expect(() => checkUpload({ key: `events/e/${name}`, size: file.length })).not.toThrow();
    seen = [];
    if (isPhoto) {
      await expectUpright(file);
    } else {
      await expect(source.analyse('line', { bytes: file } as never, false)).rejects.toMatchObject({
        name: 'InvalidImageFormatException',
      });
      expect(seen).toEqual([]);
    }
  }
});
