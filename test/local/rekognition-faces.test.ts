import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { crc32, deflateSync } from 'node:zlib';
import * as sdk from '@aws-sdk/client-rekognition';
import sharp from 'sharp';
import type { AnalysedFace } from '../../local/rekognition/face-analysis.ts';
import { operations } from '../../local/rekognition/model.ts';
import type { RgbImage } from '../../local/rekognition/pixels.ts';
import { type RekognitionServer, startRekognition } from '../../local/rekognition/server.ts';
import { findMadeFaces } from '../support/made-photos.ts';

const SAMPLES = path.join(
  path.dirname(createRequire(import.meta.url).resolve('@vladmandic/face-api/package.json')),
  'demo',
);
const sample = (n: number) => readFile(path.join(SAMPLES, `sample${n}.jpg`));

const files = new Map<string, Buffer>();
let dataDir: string;
let server: RekognitionServer;
let client: sdk.RekognitionClient;

async function start(): Promise<void> {
  server = await startRekognition({
    dataDir,
    workers: 1,
    // What other files have had found in these pictures is found here.
    ...(process.env.ROLLCALL_ANALYSES && { analysesFolder: process.env.ROLLCALL_ANALYSES }),
    quotas: Object.fromEntries(operations.map((operation) => [operation, Number.POSITIVE_INFINITY])),
    getObject: async (bucket, key) => {
      const file = files.get(`${bucket}/${key}`);
      if (!file) {
        throw Object.assign(new Error('No such key'), {
          name: 'NoSuchKey',
          $metadata: { httpStatusCode: 404 },
        });
      }
      return file;
    },
  });
  client = clientOf(server);
}

function clientOf({ endpoint }: RekognitionServer): sdk.RekognitionClient {
  return new sdk.RekognitionClient({
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' },
    maxAttempts: 1,
  });
}

async function stop(): Promise<void> {
  client.destroy();
  await server.close();
}

beforeAll(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'rekognition-faces-'));
  await start();
  await client.send(new sdk.CreateCollectionCommand({ CollectionId: 'event' }));
  for (const n of [1, 2, 3, 4, 5, 6]) {
    files.set(`photos/sample${n}.jpg`, await sample(n));
  }
}, 30_000);
afterAll(async () => {
  await stop();
  await rm(dataDir, { recursive: true, force: true });
});

const index = (Name: string, over: Partial<sdk.IndexFacesCommandInput> = {}) =>
  client.send(
    new sdk.IndexFacesCommand({
      CollectionId: 'event',
      Image: { S3Object: { Bucket: 'photos', Name } },
      ExternalImageId: Name,
      ...over,
    }),
  );
const indexBytes = (Bytes: Buffer, over: Partial<sdk.IndexFacesCommandInput> = {}) =>
  client.send(
    new sdk.IndexFacesCommand({ CollectionId: 'event', Image: { Bytes }, QualityFilter: 'NONE', ...over }),
  );
const errorOf = (call: Promise<unknown>): Promise<Error> =>
  call.then(
    () => new Error('no error'),
    (error) => error,
  );

test('finds the faces of real group photos, within one', async () => {
  for (const [i, expected] of [3, 3, 3, 4, 5, 4].entries()) {
    const { FaceRecords, UnindexedFaces, FaceModelVersion } = await index(`sample${i + 1}.jpg`);
    expect(Math.abs(FaceRecords!.length - expected)).toBeLessThanOrEqual(1);
    expect(UnindexedFaces).toEqual([]);
    expect(FaceModelVersion).toBe('local-face-api-1.7');
    const areas = FaceRecords!.map(({ Face }) => Face!.BoundingBox!.Width! * Face!.BoundingBox!.Height!);
    expect(areas).toEqual([...areas].sort((a, b) => b - a));
    for (const { Face, FaceDetail } of FaceRecords!) {
      expect(Face).toEqual({
        FaceId: expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
        ImageId: FaceRecords![0]!.Face!.ImageId,
        ExternalImageId: `sample${i + 1}.jpg`,
        BoundingBox: FaceDetail!.BoundingBox,
        Confidence: FaceDetail!.Confidence,
        IndexFacesModelVersion: '1.7',
      });
      const { Left, Top, Width, Height } = Face!.BoundingBox!;
      for (const [from, length] of [[Left, Width] as const, [Top, Height] as const]) {
        expect(from).toBeGreaterThanOrEqual(0);
        expect(length).toBeGreaterThan(0);
        expect(from! + length!).toBeLessThanOrEqual(1);
      }
      // No more than the default attributes, which are always there.
      expect(Object.keys(FaceDetail!).sort()).toEqual([
        'BoundingBox',
        'Confidence',
        'Landmarks',
        'Pose',
        'Quality',
      ]);
      expect(FaceDetail!.Landmarks!.map(({ Type }) => Type)).toEqual([
        'eyeLeft',
        'eyeRight',
        'mouthLeft',
        'mouthRight',
        'nose',
      ]);
      const at = Object.fromEntries(
        FaceDetail!.Landmarks!.map(({ Type, X, Y }) => [Type!, { X: X!, Y: Y! }]),
      );
      expect(at.eyeLeft!.X).toBeLessThan(at.eyeRight!.X);
      expect(at.eyeLeft!.Y).toBeLessThan(at.mouthLeft!.Y);
      for (const degrees of [FaceDetail!.Pose!.Roll, FaceDetail!.Pose!.Yaw, FaceDetail!.Pose!.Pitch]) {
        expect(Math.abs(degrees!)).toBeLessThan(60);
      }
      expect(FaceDetail!.Quality!.Brightness).toBeGreaterThan(10);
      expect(FaceDetail!.Quality!.Sharpness).toBeGreaterThan(10);
    }
  }
}, 60_000);

test('a face that fills the frame is found', async () => {
  const photo = await sample(4);
  const { width, height } = await sharp(photo).metadata();
  const { FaceRecords } = await index('sample4.jpg');
  // The largest and the smallest.
  for (const { Face } of [FaceRecords!.at(0)!, FaceRecords!.at(-1)!]) {
    const { Left, Top, Width, Height } = Face!.BoundingBox!;
    const side = Math.round(0.9 * Math.max(Width! * width, Height! * height));
    const portrait = await sharp(photo)
      .extract({
        left: Math.round((Left! + Width! / 2) * width - side / 2),
        top: Math.round((Top! + Height! / 2) * height - side / 2),
        width: side,
        height: side,
      })
      .resize(150)
      .png()
      .toBuffer();
    const found = await indexBytes(portrait, { QualityFilter: 'AUTO' });
    expect(found.FaceRecords).toHaveLength(1);
    expect(found.FaceRecords![0]!.Face!.BoundingBox!.Height).toBeGreaterThan(0.6);
  }
}, 60_000);

test('the same image under the same external id stores nothing twice, also when ten calls come at once', async () => {
  const first = await index('sample1.jpg');
  const { FaceCount } = await client.send(new sdk.DescribeCollectionCommand({ CollectionId: 'event' }));
  for (const again of await Promise.all(Array.from({ length: 10 }, () => index('sample1.jpg')))) {
    expect(again.FaceRecords).toEqual(first.FaceRecords);
  }
  const after = await client.send(new sdk.DescribeCollectionCommand({ CollectionId: 'event' }));
  expect(after.FaceCount).toBe(FaceCount);
});

test('all attributes: what the local models know, and nothing they do not', async () => {
  const { FaceRecords } = await index('sample6.jpg', { DetectionAttributes: ['ALL'] });
  for (const { FaceDetail } of FaceRecords!) {
    expect(Object.keys(FaceDetail!).sort()).toEqual([
      'AgeRange',
      'BoundingBox',
      'Confidence',
      'Emotions',
      'Gender',
      'Landmarks',
      'Pose',
      'Quality',
      'Smile',
    ]);
    expect(FaceDetail!.Landmarks!.length).toBe(28);
    expect(FaceDetail!.AgeRange!.Low).toBeLessThan(FaceDetail!.AgeRange!.High!);
    expect(FaceDetail!.Emotions!.reduce((sum, { Confidence }) => sum + Confidence!, 0)).toBeCloseTo(100, 1);
  }
  // Sample 6 is a laughing family.
  expect(FaceRecords!.filter(({ FaceDetail }) => FaceDetail!.Smile!.Value).length).toBeGreaterThanOrEqual(2);
  const some = await index('sample6.jpg', { DetectionAttributes: ['DEFAULT', 'SMILE', 'BEARD'] });
  expect(Object.keys(some.FaceRecords![0]!.FaceDetail!)).toContain('Smile');
  expect(Object.keys(some.FaceRecords![0]!.FaceDetail!)).not.toContain('Beard');
  expect(Object.keys(some.FaceRecords![0]!.FaceDetail!)).not.toContain('AgeRange');
});

test('MaxFaces keeps the largest; a stricter filter gives its reasons', async () => {
  const all = await index('sample5.jpg');
  const two = await index('sample5.jpg', { MaxFaces: 2 });
  expect(two.FaceRecords).toEqual(all.FaceRecords!.slice(0, 2));
  expect(two.UnindexedFaces).toEqual(
    all.FaceRecords!.slice(2).map(({ FaceDetail }) => ({ Reasons: ['EXCEEDS_MAX_FACES'], FaceDetail })),
  );

  const blurred = await sharp(await sample(1))
    .resize(1600)
    .blur(4)
    .jpeg()
    .toBuffer();
  const small = await sharp(await sample(1))
    .resize(240)
    .jpeg({ quality: 95 })
    .toBuffer();
  const dark = await sharp(await sample(1))
    .resize(1600)
    .linear(0.25, 0)
    .jpeg({ quality: 95 })
    .toBuffer();
  const reasons = async (image: Buffer, QualityFilter: sdk.QualityFilter) => {
    const { UnindexedFaces } = await indexBytes(image, { QualityFilter });
    return new Set(UnindexedFaces!.flatMap(({ Reasons }) => Reasons!));
  };
  expect(await reasons(blurred, 'HIGH')).toContain('LOW_SHARPNESS');
  expect(await reasons(small, 'MEDIUM')).toContain('SMALL_BOUNDING_BOX');
  expect(await reasons(dark, 'HIGH')).toContain('LOW_BRIGHTNESS');
  for (const image of [blurred, small, dark]) {
    expect(await reasons(image, 'NONE')).toEqual(new Set());
    const counts: number[] = [];
    for (const QualityFilter of ['NONE', 'LOW', 'MEDIUM', 'HIGH'] as const) {
      const { FaceRecords, UnindexedFaces } = await indexBytes(image, { QualityFilter });
      counts.push(FaceRecords!.length);
      expect(FaceRecords!.length + UnindexedFaces!.length).toBe(counts[0]);
    }
    expect(counts).toEqual([...counts].sort((a, b) => b - a));
  }
}, 60_000);

describe('a search', () => {
  /** Another photo of the same people, as a phone might have taken it: cropped, turned a little, darker, recompressed. */
  const anotherPhoto = async (photo: Buffer) => {
    const { width, height } = await sharp(photo).metadata();
    return sharp(photo)
      .extract({
        left: Math.round(width * 0.02),
        top: Math.round(height * 0.02),
        width: Math.round(width * 0.96),
        height: Math.round(height * 0.96),
      })
      .rotate(4, { background: '#777' })
      .resize(1100)
      .linear(0.8, 5)
      .jpeg({ quality: 70 })
      .toBuffer();
  };

  test('finds the same person in two photos, and nobody else', async () => {
    await client.send(new sdk.CreateCollectionCommand({ CollectionId: 'people' }));
    const CollectionId = 'people';
    for (const n of [1, 3, 4, 5, 6]) {
      await index(`sample${n}.jpg`, { CollectionId });
    }
    for (const n of [1, 5]) {
      const other = await anotherPhoto(await sample(n));
      const { FaceRecords } = await indexBytes(other, { CollectionId, ExternalImageId: `other-${n}` });
      expect(FaceRecords!.length).toBeGreaterThanOrEqual(2);
      for (const { Face } of FaceRecords!) {
        const { FaceMatches, SearchedFaceId } = await client.send(
          new sdk.SearchFacesCommand({ CollectionId, FaceId: Face!.FaceId! }),
        );
        expect(SearchedFaceId).toBe(Face!.FaceId);
        expect(FaceMatches![0]!.Face!.ExternalImageId).toBe(`sample${n}.jpg`);
        expect(FaceMatches!.map((match) => match.Face!.FaceId)).not.toContain(Face!.FaceId);
        const similarities = FaceMatches!.map(({ Similarity }) => Similarity!);
        expect(similarities[0]).toBeGreaterThan(90);
        expect(similarities).toEqual([...similarities].sort((a, b) => b - a));
      }

      const byImage = await client.send(
        new sdk.SearchFacesByImageCommand({ CollectionId, Image: { Bytes: other }, MaxFaces: 2 }),
      );
      expect(byImage.SearchedFaceBoundingBox).toEqual(FaceRecords![0]!.Face!.BoundingBox);
      expect(byImage.SearchedFaceConfidence).toBe(FaceRecords![0]!.Face!.Confidence);
      expect(byImage.FaceMatches!.map(({ Face }) => Face!.ExternalImageId)).toEqual([
        `other-${n}`,
        `sample${n}.jpg`,
      ]);
      expect(byImage.FaceMatches![0]!.Similarity).toBeGreaterThan(99);
    }
  }, 60_000);

  test('without a face to search for is refused', async () => {
    const wall = await sharp({ create: { width: 400, height: 300, channels: 3, background: '#8a7' } })
      .png()
      .toBuffer();
    const error = await errorOf(
      client.send(new sdk.SearchFacesByImageCommand({ CollectionId: 'event', Image: { Bytes: wall } })),
    );
    expect(error).toBeInstanceOf(sdk.InvalidParameterException);
    expect(error.message).toBe('There are no faces in the image. Should be at least 1.');
  });
});

/** Finds the one square of a picture that is white, whatever became of its other colours. */
function whiteSquare({ width, height, data }: RgbImage): AnalysedFace[] {
  const columns: number[] = [];
  const rows: number[] = [];
  for (let pixel = 0; pixel < width * height; pixel++) {
    if (data.subarray(3 * pixel, 3 * pixel + 3).every((channel) => channel > 220)) {
      columns.push(pixel % width);
      rows.push(Math.floor(pixel / width));
    }
  }
  const least = (of: number[]) => of.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const most = (of: number[]) => of.reduce((a, b) => Math.max(a, b), 0);
  const [x, y] = [least(columns) / width, least(rows) / height];
  const box = { x, y, width: (most(columns) + 1) / width - x, height: (most(rows) + 1) / height - y };
  return [{ ...findMadeFaces({ width: 610 })[0]!, box }];
}

/** A valid PNG of one bit a pixel: a few KB, whatever it decodes to. */
function blackPng(width: number, height: number): Buffer {
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const ends = Buffer.alloc(8);
    ends.writeUInt32BE(data.length, 0);
    ends.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 1;
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.alloc(height * (1 + Math.ceil(width / 8))))),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

describe('images', () => {
  /**
   * https://docs.aws.amazon.com/rekognition/latest/APIReference/API_IndexFaces.html: the boxes of a JPEG with Exif orientation
   * are translated to where faces are after the orientation corrected the image, from S3 as from bytes.
   */
  test('from S3, lying and marked with an Exif orientation: the boxes are those of the upright picture', async () => {
    const boxes = (indexed: sdk.IndexFacesCommandOutput) =>
      (indexed.FaceRecords ?? [])
        .map(({ Face }) => Face!.BoundingBox!)
        .sort((one, other) => one.Left! - other.Left!);
    await client.send(new sdk.CreateCollectionCommand({ CollectionId: 'upright' }));
    const lying = await sharp(await sample(1))
      .rotate(270)
      .withMetadata({ orientation: 6 })
      .jpeg({ quality: 95 })
      .toBuffer();
    const [upright, stored] = await Promise.all([sharp(await sample(1)).metadata(), sharp(lying).metadata()]);
    expect([stored.width, stored.height, stored.orientation]).toEqual([upright.height, upright.width, 6]);
    files.set('photos/lying.jpg', lying);
    const expected = boxes(await index('sample1.jpg', { CollectionId: 'upright' }));
    const found = boxes(await index('lying.jpg', { CollectionId: 'upright' }));
    expect(found.length).toBe(expected.length);
    expect(found.length).toBeGreaterThan(1);
    for (const [face, box] of found.entries()) {
      for (const side of ['Left', 'Top', 'Width', 'Height'] as const) {
        expect([side, Math.abs(box[side]! - expected[face]![side]!) < 0.03]).toEqual([side, true]);
      }
    }
    await client.send(new sdk.DeleteCollectionCommand({ CollectionId: 'upright' }));
  }, 60_000);

  test('of other formats, broken or empty, are no images', async () => {
    const photo = await sharp(await sample(1))
      .resize(400)
      .jpeg()
      .toBuffer();
    const png = await sharp(photo).png().toBuffer();
    const invalid: [string, Buffer][] = [
      ['webp', await sharp(photo).webp().toBuffer()],
      ['avif', await sharp(photo).avif({ effort: 0 }).toBuffer()],
      ['heic', Buffer.from('\0\0\0\x1cftypheic\0\0\0\0mif1heic', 'latin1')],
      ['gif', await sharp(photo).gif().toBuffer()],
      ['text', Buffer.from('this is not a photo')],
      ['empty', Buffer.alloc(0)],
      ['truncated jpeg', photo.subarray(0, photo.length / 2)],
      ['truncated png', png.subarray(0, png.length / 2)],
      ['header of a jpeg', photo.subarray(0, 20)],
      ['header of a png', png.subarray(0, 33)],
      ['three bytes', photo.subarray(0, 3)],
    ];
    for (const [what, file] of invalid) {
      files.set('photos/invalid', file);
      const error = await errorOf(index('invalid'));
      expect([what, error.name]).toEqual([what, 'InvalidImageFormatException']);
      expect(error.message).toBe('Request has invalid image format.');
    }
  }, 30_000);

  test('too large or too small are told by size and header, before anything is decoded', async () => {
    const blank = (width: number, height: number) =>
      sharp({ create: { width, height, channels: 3, background: '#888' } });
    files.set('photos/15MB', Buffer.concat([await sample(1), Buffer.alloc(15 * 1024 * 1024)]));
    expect((await errorOf(index('15MB'))).name).toBe('ImageTooLargeException');
    const bytes = Buffer.concat([await sample(1), Buffer.alloc(5 * 1024 * 1024)]);
    expect((await errorOf(indexBytes(bytes))).name).toBe('ImageTooLargeException');
    expect((await errorOf(indexBytes(Buffer.alloc(30 * 1024 * 1024)))).name).toBe(
      'RequestEntityTooLargeException',
    );

    for (const [width, height] of [
      [79, 400],
      [400, 79],
    ] as const) {
      const error = await errorOf(indexBytes(await blank(width, height).jpeg().toBuffer()));
      expect(error).toBeInstanceOf(sdk.InvalidParameterException);
    }
    expect((await indexBytes(blackPng(80, 80))).FaceRecords).toEqual([]);
    expect((await indexBytes(await blank(80, 80).jpeg().toBuffer())).FaceRecords).toEqual([]);

    const bomb = blackPng(12_000, 12_000);
    expect(bomb.length).toBeLessThan(100_000);
    const memory = process.memoryUsage().rss;
    expect((await errorOf(indexBytes(bomb))).name).toBe('ImageTooLargeException');
    // Decoded it would have 432 MB.
    expect(process.memoryUsage().rss - memory).toBeLessThan(200 * 1024 * 1024);
  }, 60_000);

  test('gray, CMYK, turned by EXIF, transparent, 16 bits deep, progressive or large are the same picture', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'rekognition-formats-'));
    // How a picture is read is seen without a network that finds faces in it.
    const reading = await startRekognition({
      dataDir: folder,
      findFaces: whiteSquare,
      getObject: async () => Buffer.alloc(0),
    });
    const reader = clientOf(reading);
    try {
      await reader.send(new sdk.CreateCollectionCommand({ CollectionId: 'formats' }));
      const square = async (Bytes: Buffer) => {
        const { FaceRecords } = await reader.send(
          new sdk.IndexFacesCommand({ CollectionId: 'formats', Image: { Bytes }, QualityFilter: 'NONE' }),
        );
        return FaceRecords!.map(({ Face }) => Face!.BoundingBox!);
      };
      const photo = await sharp({ create: { width: 400, height: 300, channels: 3, background: '#346' } })
        .composite([
          {
            input: { create: { width: 100, height: 90, channels: 3, background: '#fff' } },
            left: 60,
            top: 30,
          },
        ])
        .jpeg({ quality: 95 })
        .toBuffer();
      const expected = { Left: 0.15, Top: 0.1, Width: 0.25, Height: 0.3 };
      const variants: [string, Buffer][] = [
        ['plain', photo],
        ['gray', await sharp(photo).grayscale().jpeg().toBuffer()],
        ['cmyk', await sharp(photo).toColourspace('cmyk').jpeg().toBuffer()],
        [
          'exif',
          await sharp(photo).rotate(270).withMetadata({ orientation: 6 }).jpeg({ quality: 95 }).toBuffer(),
        ],
        ['alpha', await sharp(photo).ensureAlpha().png().toBuffer()],
        ['16 bits', await sharp(photo).toColourspace('rgb16').png().toBuffer()],
        ['progressive', await sharp(photo).jpeg({ progressive: true }).toBuffer()],
        ['large', await sharp(photo).resize(4000).jpeg({ quality: 80 }).toBuffer()],
      ];
      for (const [what, file] of variants) {
        const boxes = await square(file);
        expect([what, boxes.length]).toEqual([what, 1]);
        for (const side of ['Left', 'Top', 'Width', 'Height'] as const) {
          expect([what, side, Math.abs(boxes[0]![side]! - expected[side]) < 0.02]).toEqual([
            what,
            side,
            true,
          ]);
        }
      }
    } finally {
      reader.destroy();
      await reading.close();
      await rm(folder, { recursive: true, force: true });
    }
  }, 60_000);
});

test('faces are listed page by page and by id, and deleted by id', async () => {
  const CollectionId = 'event';
  const listed: sdk.Face[] = [];
  for await (const page of sdk.paginateListFaces({ client, pageSize: 4 }, { CollectionId })) {
    expect(page.Faces!.length).toBeLessThanOrEqual(4);
    expect(page.FaceModelVersion).toBe('local-face-api-1.7');
    listed.push(...page.Faces!);
  }
  const { FaceCount } = await client.send(new sdk.DescribeCollectionCommand({ CollectionId }));
  expect(new Set(listed.map(({ FaceId }) => FaceId)).size).toBe(FaceCount);
  expect(listed).toHaveLength(FaceCount!);

  const [one, two, three] = listed as [sdk.Face, sdk.Face, sdk.Face];
  const unknown = '11111111-2222-3333-4444-555555555555';
  const some = await client.send(
    new sdk.ListFacesCommand({ CollectionId, FaceIds: [three.FaceId!, unknown, one.FaceId!] }),
  );
  expect(some.Faces).toEqual([one, three]);

  // A page token survives that its last face goes.
  const first = await client.send(new sdk.ListFacesCommand({ CollectionId, MaxResults: 2 }));
  expect(first.Faces).toEqual([one, two]);
  const deleted = await client.send(
    new sdk.DeleteFacesCommand({ CollectionId, FaceIds: [two.FaceId!, unknown, two.FaceId!] }),
  );
  expect(deleted.DeletedFaces).toEqual([two.FaceId]);
  expect(deleted.UnsuccessfulFaceDeletions).toEqual([{ FaceId: unknown, Reasons: ['FACE_NOT_FOUND'] }]);
  const next = await client.send(
    new sdk.ListFacesCommand({ CollectionId, MaxResults: 1, NextToken: first.NextToken! }),
  );
  expect(next.Faces).toEqual([three]);
  // It is of this collection only.
  await client.send(new sdk.CreateCollectionCommand({ CollectionId: 'another' }));
  const error = await errorOf(
    client.send(new sdk.ListFacesCommand({ CollectionId: 'another', NextToken: first.NextToken! })),
  );
  expect(error).toBeInstanceOf(sdk.InvalidPaginationTokenException);
});

test('a restart changes nothing: the same faces, found and listed, and known again', async () => {
  const list = () => client.send(new sdk.ListFacesCommand({ CollectionId: 'event' }));
  // First of all, for a test before this one deletes a face, and it may be one of these.
  const indexed = await index('sample3.jpg');
  const before = await list();
  await stop();
  await start();
  expect((await list()).Faces).toEqual(before.Faces);
  expect((await index('sample3.jpg')).FaceRecords).toEqual(indexed.FaceRecords);
  expect((await list()).Faces).toEqual(before.Faces);
}, 30_000);

test('a collection deleted while an image is in work takes no face', async () => {
  await client.send(new sdk.CreateCollectionCommand({ CollectionId: 'short-lived' }));
  const fresh = await sharp(await sample(2))
    .resize(900)
    .jpeg()
    .toBuffer();
  const indexing = errorOf(indexBytes(fresh, { CollectionId: 'short-lived' }));
  await client.send(new sdk.DeleteCollectionCommand({ CollectionId: 'short-lived' }));
  expect(await indexing).toBeInstanceOf(sdk.ResourceNotFoundException);
});
