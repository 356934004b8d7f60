import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** A name for what is made of these files and folders, given from the project's root: another as soon as one of them changes. */
export function hashOf(root: string, inputs: readonly string[], options = ''): string {
  const hash = createHash('sha256').update(options);
  for (const input of inputs) {
    const at = path.join(root, input);
    const files = path.extname(input) ? [''] : readdirSync(at, { recursive: true, encoding: 'utf8' }).sort();
    for (const file of files.filter((name) => name === '' || path.extname(name))) {
      hash.update(`${input}/${file}\0`).update(readFileSync(path.join(at, file)));
    }
  }
  return hash.digest('hex').slice(0, 32);
}
