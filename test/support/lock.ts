import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const POLL_MS = 50;
/** Longer than any holder takes: the id of one that was killed may belong to another process by now. */
const STALE_MS = 300_000;

/**
 * Does something while no other process does it: the folder is the lock. One whose holder is gone is taken over; two that take
 * it over in the same moment may both go on, so the work has to bear being done twice.
 */
export function withLock(folder: string, work: () => void): void {
  for (;;) {
    try {
      mkdirSync(folder);
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
        throw error;
      }
    }
    if (isStale(folder)) {
      rmSync(folder, { recursive: true, force: true });
    } else {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, POLL_MS);
    }
  }
  try {
    writeFileSync(path.join(folder, 'holder'), String(process.pid));
    work();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function isStale(folder: string): boolean {
  try {
    if (Date.now() - statSync(folder).mtimeMs > STALE_MS) {
      return true;
    }
    const holder = holderOf(folder);
    // None when it was taken only just now; read again, because the holder may have given it back and ended since.
    return holder !== 0 && !isRunning(holder) && holderOf(folder) === holder;
  } catch {
    // Given back meanwhile, or not signed yet.
    return false;
  }
}

function holderOf(folder: string): number {
  return Number(readFileSync(path.join(folder, 'holder'), 'utf8'));
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
