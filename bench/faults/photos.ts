import { randomBytes } from 'node:crypto';
import sharp from 'sharp';
import type { AnalysedFace } from '../../local/rekognition/face-analysis.ts';
import type { RgbImage } from '../../local/rekognition/pixels.ts';

/** The red of a photo says how many faces are in it. */
const RED_PER_FACE = 40;

const bases = new Map<string, Promise<Buffer>>();

/**
 * A small picture that the campaign's Rekognition finds so many faces in; no two are the same file.
 *
 * @param side pixels; under 80 Rekognition takes none
 */
export async function photoWith(faces: number, side = 120): Promise<Buffer> {
  const name = `${faces}/${side}`;
  let base = bases.get(name);
  if (!base) {
    const background = { r: faces * RED_PER_FACE, g: 20, b: 20 };
    base = sharp({ create: { width: side, height: side, channels: 3, background } })
      .jpeg({ quality: 95, chromaSubsampling: '4:4:4' })
      .toBuffer();
    bases.set(name, base);
  }
  // What comes after a JPEG's end is no part of the picture.
  return Buffer.concat([await base, randomBytes(12)]);
}

/** A JPEG that ends in its middle. */
export async function brokenPhoto(): Promise<Buffer> {
  const whole = await photoWith(1);
  return whole.subarray(0, Math.floor(whole.length / 2));
}

/** Finds the faces of `photoWith`, side by side. */
export function inventedFaces(image: RgbImage): AnalysedFace[] {
  const faces = Math.round(image.data[0]! / RED_PER_FACE);
  return Array.from({ length: faces }, (_, i) => ({
    box: { x: 0.02 + i * 0.24, y: 0.1, width: 0.22, height: 0.6 },
    score: 0.95,
    landmarks: new Float32Array(136),
    brightness: 60,
    sharpness: 60,
    descriptor: new Float32Array(128).fill(i / 10),
  }));
}
