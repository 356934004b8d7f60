import { randomUUID } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { processIdentity } from './processes.ts';

interface Holder {
  pid: number;
  /** See processIdentity. */
  identity: string;
}

/**
 * Takes a lock for this process. That of a process which is gone, however it ended, is taken over.
 *
 * @param lock a file that is there as long as somebody has it
 * @returns what gives it back, or who has it
 */
export function tryLock(lock: string): { release(): void } | { holder: number } {
  const identity = processIdentity(process.pid) ?? '';
  const mine = `${lock}.${randomUUID()}`;
  writeFileSync(mine, JSON.stringify({ pid: process.pid, identity } satisfies Holder));
  try {
    // A link appears with its content or not at all, and never replaces what is there.
    while (!tryLink(mine, lock)) {
      const text = readIfThere(lock);
      if (text === undefined) {
        continue;
      }
      const holder = parseHolder(text);
      if (holder && processIdentity(holder.pid) === holder.identity) {
        return { holder: holder.pid };
      }
      removeStale(lock, text);
    }
    return { release: () => rmSync(lock, { force: true }) };
  } finally {
    rmSync(mine, { force: true });
  }
}

/** Does something while no other process does it, nor this one in another place. */
export async function withLock<Result>(lock: string, work: () => Promise<Result>): Promise<Result> {
  let taken = tryLock(lock);
  while ('holder' in taken) {
    await sleep(50);
    taken = tryLock(lock);
  }
  try {
    return await work();
  } finally {
    taken.release();
  }
}

/** Removes the lock of a dead process; a rival that was faster and holds it by now gets it back. */
function removeStale(lock: string, staleText: string): void {
  const aside = `${lock}.${randomUUID()}`;
  try {
    renameSync(lock, aside);
  } catch {
    return;
  }
  if (readIfThere(aside) !== staleText) {
    tryLink(aside, lock);
  }
  rmSync(aside, { force: true });
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') {
      return false;
    }
    throw error;
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function parseHolder(text: string): Holder | undefined {
  try {
    const holder = JSON.parse(text) as Holder;
    return Number.isInteger(holder.pid) && typeof holder.identity === 'string' ? holder : undefined;
  } catch {
    return undefined;
  }
}
