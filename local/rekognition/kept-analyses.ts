import { createHash, randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { deserialize, serialize } from 'node:v8';
import type { Detector } from './detector.ts';
import type { DetectorJob } from './detector-worker.ts';
import type { AnalysedFace } from './face-analysis.ts';

/** What finds faces: a `Detector`, or what stands for one. */
export type FaceFinder = Pick<Detector, 'analyse' | 'warmUp' | 'close'>;

/**
 * Finds faces as `finder` does, but each image's only once for all endpoints that share the folder: what the models find in an
 * image is always the same. Who comes while another process is at an image waits for it. The models load when the first image comes
 * that nobody has seen.
 */
export function keepAnalyses(finder: FaceFinder, folder: string): FaceFinder {
  return {
    async analyse(job) {
      const file = path.join(folder, nameOf(job));
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const kept = (await read(file)) ?? (await readOnceMade(file));
      if (kept) {
        return kept;
      }
      try {
        const faces = await finder.analyse(job);
        // Renamed when it is whole: others may be reading.
        const fresh = `${file}.${randomUUID()}`;
        await writeFile(fresh, serialize(faces), { mode: 0o600 });
        await rename(fresh, file);
        return faces;
      } finally {
        await rm(claimOf(file), { force: true });
      }
    },
    warmUp() {},
    close: () => finder.close(),
  };
}

async function read(file: string): Promise<AnalysedFace[] | undefined> {
  const kept = await readFile(file).catch(() => undefined);
  return kept && (deserialize(kept) as AnalysedFace[]);
}

/** Waits while another process is at this image. Undefined where nobody is: then it is claimed for this one. */
async function readOnceMade(file: string): Promise<AnalysedFace[] | undefined> {
  const claim = claimOf(file);
  for (;;) {
    const isMine = await take(claim);
    const made = await read(file);
    if (made && isMine) {
      await rm(claim, { force: true });
    }
    if (made || isMine || !(await isHeldByAnother(claim))) {
      return made;
    }
    await sleep(LOOK_AGAIN_MS);
  }
}

const LOOK_AGAIN_MS = 50;

/** Longer than any image takes, however busy the machine is. */
const HELD_AT_MOST_MS = 60_000;

/** A claim is there with its holder's id or not at all: whoever is killed on the way to it holds nothing. */
async function take(claim: string): Promise<boolean> {
  const fresh = `${claim}.${randomUUID()}`;
  await writeFile(fresh, String(process.pid), { mode: 0o600 });
  try {
    await link(fresh, claim);
    return true;
  } catch (error) {
    // Where a file cannot have two names, each process looks for itself.
    return (error as NodeJS.ErrnoException).code !== 'EEXIST';
  } finally {
    await rm(fresh);
  }
}

/**
 * One that was killed never ends its claim, and its id may be somebody else's by now; two images of this process are the same for
 * whoever came first.
 */
async function isHeldByAnother(claim: string): Promise<boolean> {
  try {
    const holder = Number(await readFile(claim, 'utf8'));
    const { mtimeMs } = await stat(claim);
    return holder !== process.pid && isAlive(holder) && Date.now() - mtimeMs < HELD_AT_MOST_MS;
  } catch {
    // It was just ended: whoever looks again finds the faces, or takes the claim.
    return true;
  }
}

function claimOf(file: string): string {
  return `${file}.claim`;
}

function isAlive(pid: number): boolean {
  try {
    // 0 would be this process's own group.
    return pid > 0 && process.kill(pid, 0);
  } catch {
    return false;
  }
}

function nameOf({ image: { width, height, data }, attributes }: DetectorJob): string {
  return createHash('sha256').update(`${width} ${height} ${attributes}\n`).update(data).digest('hex');
}
