import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

type Environment = Readonly<Record<string, string | undefined>>;

/** What a person types is relative to where they are; npm runs scripts in the project's root and tells that place apart. */
export function fromWorkingDirectory(path: string, env: Environment): string {
  const directory = env.npm_lifecycle_event === 'start' ? env.INIT_CWD : undefined;
  return resolve(directory ?? '.', path);
}

/** The group photos that come with the face recogniser: real, small, and on every machine after `npm ci`. */
export function samplePhotos(): { folder: string; file: RegExp } {
  const manifest = fileURLToPath(import.meta.resolve('@vladmandic/face-api/package.json'));
  return { folder: join(dirname(manifest), 'demo'), file: /^sample[1-6]\.jpg$/ };
}
