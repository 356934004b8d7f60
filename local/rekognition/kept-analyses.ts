import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { deserialize, serialize } from 'node:v8';
import type { Detector } from './detector.ts';
import type { DetectorJob } from './detector-worker.ts';
import type { AnalysedFace } from './face-analysis.ts';

/** What finds faces: a `Detector`, or what stands for one. */
export type FaceFinder = Pick<Detector, 'analyse' | 'warmUp' | 'close'>;

/**
 * Finds faces as `finder` does, but each image's only once for all endpoints that share the folder: what the models find in an
 * image is always the same. The models load when the first image comes that nobody has seen.
 */
export function keepAnalyses(finder: FaceFinder, folder: string): FaceFinder {
  return {
    async analyse(job) {
      const file = path.join(folder, nameOf(job));
      const kept = await readFile(file).catch(() => undefined);
      if (kept) {
        return deserialize(kept) as AnalysedFace[];
      }
      const faces = await finder.analyse(job);
      await mkdir(folder, { recursive: true, mode: 0o700 });
      // Renamed when it is whole: others may be reading.
      const fresh = `${file}.${randomUUID()}`;
      await writeFile(fresh, serialize(faces), { mode: 0o600 });
      await rename(fresh, file);
      return faces;
    },
    warmUp() {},
    close: () => finder.close(),
  };
}

function nameOf({ image: { width, height, data }, attributes }: DetectorJob): string {
  return createHash('sha256').update(`${width} ${height} ${attributes}\n`).update(data).digest('hex');
}
