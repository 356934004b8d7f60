import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The group photos that come with the face recogniser: real, small, and on every machine after `npm ci`. */
export function samplePhotos(): { folder: string; file: RegExp } {
  const manifest = fileURLToPath(import.meta.resolve('@vladmandic/face-api/package.json'));
  return { folder: join(dirname(manifest), 'demo'), file: /^sample[1-6]\.jpg$/ };
}
