import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const PAGE = join(import.meta.dirname, '../../page');

/** Of everything that the page is built of: what a picture of it was taken from. */
export function sourceHash(): string {
  const hash = createHash('sha256');
  for (const name of readdirSync(PAGE)
    .filter((file) => /\.(tsx?|css|html|svg)$/.test(file))
    .sort()) {
    hash.update(`${name}\n`).update(readFileSync(join(PAGE, name)));
  }
  return hash.digest('hex');
}
