import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { processIdentity } from '../../local/processes.ts';

const MEMORY = '/dev/shm';
/** What a run writes, several times over. */
const ENOUGH_BYTES = 4e9;
/** With what the workers and their databases take beside it. */
const ENOUGH_MEMORY_BYTES = 10e9;
const NAME = /^rollcall-run-(\d+)-/;

/**
 * Makes the folder for all that a run of the tests writes, and removes those of runs that were killed. It is in memory where there
 * is plenty, for most files live for seconds: with a disk, the kernel takes a third more time. TMPDIR decides where it is given.
 */
export function makeRunFolder(): string {
  const parent = process.env.TMPDIR === undefined && isMemoryFit() ? MEMORY : tmpdir();
  for (const name of readdirSync(parent)) {
    const pid = NAME.exec(name)?.[1];
    if (pid !== undefined && processIdentity(Number(pid)) === undefined) {
      rmSync(path.join(parent, name), { recursive: true, force: true });
    }
  }
  const folder = mkdtempSync(path.join(parent, `rollcall-run-${process.pid}-`));
  // As root, PostgreSQL runs as another user.
  chmodSync(folder, 0o755);
  return folder;
}

/** Whether there is room, and programs may be run from there: a container's seldom has the one or the other. */
function isMemoryFit(): boolean {
  try {
    const mounted = readFileSync('/proc/mounts', 'utf8')
      .split('\n')
      .map((line) => line.split(' '))
      .findLast(([, at]) => at === MEMORY);
    const { bavail, bsize } = statfsSync(MEMORY);
    return (
      mounted?.[2] === 'tmpfs' &&
      !mounted[3]!.split(',').includes('noexec') &&
      bavail * bsize >= ENOUGH_BYTES &&
      process.availableMemory() >= ENOUGH_MEMORY_BYTES
    );
  } catch {
    return false;
  }
}
