import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { stopLeftover } from './postgres.ts';
import { takeStateFolder } from './state-folder.ts';

/**
 * Removes the state folder and stops what a killed run left behind in it. It may be of another layout.
 *
 * @param path absolute
 * @returns whether there was one
 * @throws LocalError `StateFolderInUseError`
 */
export async function removeState(path: string): Promise<boolean> {
  if (!existsSync(path)) {
    return false;
  }
  const release = takeStateFolder(path);
  try {
    await stopLeftover(join(path, 'postgres'));
    rmSync(path, { recursive: true, force: true, maxRetries: 3 });
  } finally {
    release();
  }
  return true;
}
