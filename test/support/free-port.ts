import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

/**
 * Below the ports that systems give out themselves, to whoever connects or listens on any: nobody gets one of these by
 * chance between the look and the use.
 */
const FIRST = 21_000;
const PORTS = 4_000;
/** A local run whose PostgreSQL listens at one of them listens at the three after it as well, without asking here. */
const PORTS_OF_A_RUN = 4;

/** The ports are the whole machine's, and so are the claims to them, whatever a run has for a temporary folder. */
const CLAIMS = process.env.ROLLCALL_PORT_CLAIMS ?? path.join(tmpdir(), 'rollcall-ports');

const mine = new Set<string>();

/** A TCP port of this machine that is free, and that no other process asking here gets until this one has ended. */
export async function freePort(): Promise<number> {
  const runs = PORTS / PORTS_OF_A_RUN;
  for (let i = 0; i < runs; i++) {
    const port = FIRST + PORTS_OF_A_RUN * ((process.pid * 17 + i) % runs);
    if (claim(port) && (await isFree(port))) {
      return port;
    }
  }
  throw new Error(`None of the ports from ${FIRST} to ${FIRST + PORTS - 1} is free`);
}

/** By a file that can be made once; one of a process that is gone says nothing. */
function claim(port: number): boolean {
  mkdirSync(CLAIMS, { recursive: true });
  const file = path.join(CLAIMS, String(port));
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' });
      if (mine.size === 0) {
        process.once('exit', () => {
          for (const claimed of mine) {
            rmSync(claimed, { force: true });
          }
        });
      }
      mine.add(file);
      return true;
    } catch {
      if (mine.has(file) || isAlive(ownerOf(file)) || !takeAway(file)) {
        return false;
      }
    }
  }
  return false;
}

/** Removes the claims of processes that are gone. */
export function removeAbandonedClaims(): void {
  mkdirSync(CLAIMS, { recursive: true });
  for (const file of readdirSync(CLAIMS).map((name) => path.join(CLAIMS, name))) {
    if (!isAlive(ownerOf(file))) {
      takeAway(file);
    }
  }
}

/** Removes the file of a process that is gone, unless somebody else was faster and it is already theirs. */
function takeAway(file: string): boolean {
  const aside = `${file}.${process.pid}`;
  try {
    renameSync(file, aside);
  } catch {
    return false;
  }
  const owner = ownerOf(aside);
  if (isAlive(owner)) {
    renameSync(aside, file);
    return false;
  }
  rmSync(aside, { force: true });
  return true;
}

function ownerOf(file: string): number {
  try {
    return Number(readFileSync(file, 'utf8'));
  } catch {
    return Number.NaN;
  }
}

function isAlive(pid: number): boolean {
  try {
    // Signal 0 only asks. A file that is just being written names nobody yet.
    return !Number.isInteger(pid) || pid <= 0 || process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer();
  const free = await new Promise<boolean>((resolve) => {
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => resolve(true));
  });
  if (free) {
    await new Promise((closed) => probe.close(closed));
  }
  return free;
}
