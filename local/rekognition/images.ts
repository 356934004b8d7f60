import { createHash } from 'node:crypto';
import sharp from 'sharp';
import type { Detector } from './detector.ts';
import type { AnalysedFace } from './face-analysis.ts';
import { FairQueue } from './fair-queue.ts';
import { RekognitionError } from './model.ts';
import type { RgbImage } from './pixels.ts';
import type { ImageInput } from './validation.ts';

/** Reads an object out of S3; rejects with the SDK's error when there is none. */
export type GetObject = (bucket: string, key: string, version?: string) => Promise<Buffer>;

/** An image as the operations need it. */
export interface AnalysedImage {
  /** SHA-256 of the file: the same file is the same image. */
  hash: string;
  /** Pixels, upright. */
  width: number;
  height: number;
  faces: AnalysedFace[];
}

/** https://docs.aws.amazon.com/rekognition/latest/dg/limits.html: an image in S3 may have 15 MB; bytes are checked before. */
const MAX_S3_IMAGE_BYTES = 15 * 1024 * 1024;
const MIN_SIDE = 80;
/** Rekognition's own limit is not published. More than the largest cameras make, and decoded in bounded memory. */
const MAX_PIXELS = 100_000_000;
/** Measured: detection finds as much at this size as in the whole photo, in half the memory. */
const WORKING_SIDE = 1600;
/** Analyses kept in memory: a few KB each. */
const REMEMBERED = 500;

const JPEG = Buffer.from([0xff, 0xd8, 0xff]);
const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

export interface ImageSourceOptions {
  detector: Pick<Detector, 'analyse'>;
  getObject: GetObject;
  /** Images in work at once. One more than there are detector threads, so that none waits for a decoder. */
  concurrency: number;
}

/** Fetches, checks, decodes and analyses images. The same file is analysed once and remembered. */
export class ImageSource {
  readonly #detector: Pick<Detector, 'analyse'>;
  readonly #getObject: GetObject;
  readonly #queue: FairQueue;
  readonly #remembered = new Map<string, AnalysedImage & { attributes: boolean }>();

  constructor({ detector, getObject, concurrency }: ImageSourceOptions) {
    this.#detector = detector;
    this.#getObject = getObject;
    this.#queue = new FairQueue(concurrency);
  }

  /**
   * @param line whose turn it is to wait: images of different lines take turns
   * @param attributes whether age, gender and expressions are needed
   * @throws RekognitionError `InvalidS3ObjectException`, `ImageTooLargeException`, `InvalidImageFormatException`,
   *   `InvalidParameterException`, `ProvisionedThroughputExceededException`
   * @throws DetectorFailure
   */
  analyse(line: string, input: ImageInput, attributes: boolean): Promise<AnalysedImage> {
    return this.#queue.run(line, async () => {
      const file = input.bytes ?? (await this.#fetch(input.s3Object!));
      const hash = createHash('sha256').update(file).digest('hex');
      const known = this.#remembered.get(hash);
      if (known && (known.attributes || !attributes)) {
        return known;
      }
      const size = await checkImage(file);
      const image = await decode(file);
      const faces = await this.#detector.analyse({ image, attributes });
      const analysed = { hash, ...size, faces, attributes };
      this.#remember(analysed);
      return analysed;
    });
  }

  #remember(image: AnalysedImage & { attributes: boolean }): void {
    this.#remembered.delete(image.hash);
    this.#remembered.set(image.hash, image);
    const [oldest] = this.#remembered.keys();
    if (oldest !== undefined && this.#remembered.size > REMEMBERED) {
      this.#remembered.delete(oldest);
    }
  }

  async #fetch({ bucket, key, version }: NonNullable<ImageInput['s3Object']>): Promise<Buffer> {
    let file: Buffer;
    try {
      file = await this.#getObject(bucket, key, version);
    } catch (error) {
      throw s3Failure(error);
    }
    if (file.length > MAX_S3_IMAGE_BYTES) {
      throw new RekognitionError('ImageTooLargeException');
    }
    return file;
  }
}

/** What Rekognition says when S3 does not hand over the image. */
function s3Failure(error: unknown): RekognitionError {
  const { name, $metadata } = (error ?? {}) as { name?: string; $metadata?: { httpStatusCode?: number } };
  const status = $metadata?.httpStatusCode ?? 0;
  if (name === 'SlowDown' || status === 503) {
    return new RekognitionError('ProvisionedThroughputExceededException', 'S3 download limit exceeded.');
  }
  const clientFault =
    (status >= 400 && status < 500) ||
    ['NoSuchKey', 'NoSuchBucket', 'NoSuchVersion', 'NotFound'].includes(name ?? '');
  return new RekognitionError(clientFault ? 'InvalidS3ObjectException' : 'InternalServerError');
}

/**
 * Judges an image by its first bytes and its header, before anything is decoded.
 *
 * @returns its size in pixels, upright
 */
async function checkImage(file: Buffer): Promise<{ width: number; height: number }> {
  if (!startsWith(file, JPEG) && !startsWith(file, PNG)) {
    throw new RekognitionError('InvalidImageFormatException');
  }
  const header = await sharp(file, { limitInputPixels: false })
    .metadata()
    .catch(() => {
      throw new RekognitionError('InvalidImageFormatException');
    });
  const { width, height } = header.autoOrient;
  if (width * height > MAX_PIXELS) {
    throw new RekognitionError('ImageTooLargeException');
  }
  if (Math.min(width, height) < MIN_SIDE) {
    throw new RekognitionError('InvalidParameterException');
  }
  return { width, height };
}

function startsWith(file: Buffer, magic: Buffer): boolean {
  return file.subarray(0, magic.length).equals(magic);
}

/** Decodes an image upright, as RGB, no side longer than 1600 px. A truncated file is not an image. */
async function decode(file: Buffer): Promise<RgbImage> {
  try {
    const { data, info } = await sharp(file, { limitInputPixels: MAX_PIXELS, failOn: 'truncated' })
      .autoOrient()
      .resize(WORKING_SIDE, WORKING_SIDE, { fit: 'inside', withoutEnlargement: true })
      .flatten({ background: '#808080' })
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    // A copy of its own memory, which can go to the detector's thread.
    return { width: info.width, height: info.height, data: new Uint8Array(data) };
  } catch {
    throw new RekognitionError('InvalidImageFormatException');
  }
}
