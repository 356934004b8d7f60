import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';

export const ROOT = path.join(import.meta.dirname, '../..');

/** A file of the project as text, by its path from the root. */
export const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8');

/** Every page of documentation. */
export const pages: readonly string[] = globSync(['*.md', '{docs,local,page}/**/*.md', '.github/*.md'], {
  cwd: ROOT,
}).sort();
