import { randomBytes } from 'node:crypto';
import sharp from 'sharp';
import type { AnalysedFace } from '../../local/rekognition/face-analysis.ts';
import type { RgbImage } from '../../local/rekognition/pixels.ts';

/** The red of a photo says how many faces are in it, the green which people they are. */
const RED_PER_FACE = 40;
const GREEN_PER_GROUP = 20;

/** Groups of people that photos are of; nobody is in two of them. */
export const GROUPS = 10;

/** At most so many faces a photo. */
const MAX_FACES = 4;

const bases = new Map<string, Promise<Buffer>>();

/**
 * A small picture that the campaign's Rekognition finds so many faces in; no two are the same file.
 *
 * @param side pixels; under 80 Rekognition takes none
 * @param group which people: two photos of one group have the same ones, as far as they have as many
 */
export async function photoWith(faces: number, { side = 120, group = 0 } = {}): Promise<Buffer> {
  const name = `${faces}/${side}/${group}`;
  let base = bases.get(name);
  if (!base) {
    const background = { r: faces * RED_PER_FACE, g: group * GREEN_PER_GROUP, b: 20 };
    base = sharp({ create: { width: side, height: side, channels: 3, background } })
      .jpeg({ quality: 95, chromaSubsampling: '4:4:4' })
      .toBuffer();
    bases.set(name, base);
  }
  // What comes after a JPEG's end is not part of the picture.
  return Buffer.concat([await base, randomBytes(12)]);
}

/** A JPEG that ends in its middle. */
export async function brokenPhoto(): Promise<Buffer> {
  const whole = await photoWith(1);
  return whole.subarray(0, Math.floor(whole.length / 2));
}

const LEFT = 0.02;
const STEP = 0.24;

/** Which of a photo's faces it is, from the left, given its box as Rekognition has it. */
export function faceAt({ Left }: { Left: number }): number {
  return Math.round((Left - LEFT) / STEP);
}

/** Finds the faces of `photoWith`, side by side. */
export function inventedFaces(image: RgbImage): AnalysedFace[] {
  const faces = Math.round(image.data[0]! / RED_PER_FACE);
  const group = Math.round(image.data[1]! / GREEN_PER_GROUP);
  return Array.from({ length: faces }, (_, i) => ({
    box: { x: LEFT + i * STEP, y: 0.1, width: 0.22, height: 0.6 },
    score: 0.95,
    landmarks: new Float32Array(136),
    brightness: 60,
    sharpness: 60,
    descriptor: new Float32Array(128).fill((group * MAX_FACES + i) / 10),
  }));
}
