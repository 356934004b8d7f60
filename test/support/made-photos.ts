/**
 * Photos whose faces are made up: a picture's width says how many it has, so that a run of hundreds of photos needs no
 * detector. The numbers that describe the faces are such that they can be recognised wherever they turn up.
 */
import sharp from 'sharp';
import type { RekognitionOptions } from '../../local/rekognition/server.ts';

const NO_FACES_WIDTH = 600;
const WIDTH_PER_FACE = 10;

type MadeFace = ReturnType<NonNullable<RekognitionOptions['findFaces']>>[number];

/** Numbers of the faces, as text: with more digits than a duration is printed with. */
export const facePattern = /0\.1357|0\.2468|0\.3579|97\.5312|86\.4213/;

/** A JPEG of this many faces, at most 100; `shade` (0 to 255) makes another picture of it. */
export function madePhoto(faces: number, shade = 128): Promise<Buffer> {
  return sharp({
    create: {
      width: NO_FACES_WIDTH + WIDTH_PER_FACE * faces,
      height: 400,
      channels: 3,
      background: { r: shade, g: 90, b: 60 },
    },
  })
    .jpeg()
    .toBuffer();
}

/** `findFaces` of the local Rekognition, for such photos. */
export function findMadeFaces({ width }: { width: number }): MadeFace[] {
  const count = Math.round((width - NO_FACES_WIDTH) / WIDTH_PER_FACE);
  return Array.from({ length: count }, (_, face) => ({
    box: { x: 0.1357, y: 0.2468, width: 0.3579, height: 0.2468 },
    score: 0.9753124,
    landmarks: Float32Array.from({ length: 136 }, (_, i) => (i % 2 === 0 ? 0.1357 : 0.2468)),
    brightness: 86.421357,
    sharpness: 86.421357,
    // Far from each other, so that no face looks like another.
    descriptor: Float32Array.from({ length: 128 }, (_, i) => Math.sin((face + 1) * (i + 1))),
  }));
}
