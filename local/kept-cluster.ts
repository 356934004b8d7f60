import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, renameSync, rmSync } from 'node:fs';
import { promisify } from 'node:util';
import { createCluster } from './postgres.ts';

/**
 * Makes the files of a server that are not there, as `createCluster` does; a copy of those of another cloud where a run of the tests
 * keeps some, which is a fifth of the work.
 *
 * @throws LocalError `IncompatibleStateError`, `PostgresError`
 */
export async function createOrCopyCluster(folder: string): Promise<void> {
  const { ROLLCALL_CLUSTER: kept } = process.env;
  const isNew = !existsSync(folder);
  if (kept && isNew && existsSync(kept)) {
    await copy(kept, folder);
  }
  await createCluster(folder);
  if (kept && isNew && !existsSync(kept)) {
    await copy(folder, kept);
  }
}

/** Renamed when it is whole: others may be doing this too, and each may be cut off in its middle. */
async function copy(from: string, to: string): Promise<void> {
  const fresh = `${to}.${randomUUID()}`;
  // With its owner, who may be the user that PostgreSQL runs as.
  await promisify(execFile)('cp', ['-Rp', from, fresh]);
  try {
    renameSync(fresh, to);
  } catch {
    rmSync(fresh, { recursive: true });
  }
}
