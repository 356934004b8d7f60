/** The thread that runs the neural networks: loads them once, then answers one image after the other. */
import { parentPort, workerData } from 'node:worker_threads';
import { type AnalysedFace, loadFaceAnalyser } from './face-analysis.ts';
import type { RgbImage } from './pixels.ts';

export interface DetectorJob {
  image: RgbImage;
  attributes: boolean;
}

export interface DetectorThreadOptions {
  /** Whether the networks run once before the first image comes. */
  warmUp: boolean;
}

export type DetectorAnswer = { ready: true } | { faces: AnalysedFace[] } | { error: string };

const port = parentPort!;
const answer = (message: DetectorAnswer) => port.postMessage(message);

const analyser = await loadFaceAnalyser();
if ((workerData as DetectorThreadOptions).warmUp) {
  await analyser.warmUp();
}
answer({ ready: true });

port.on('message', async ({ image, attributes }: DetectorJob) => {
  try {
    answer({ faces: await analyser.analyse(image, attributes) });
  } catch (error) {
    answer({ error: error instanceof Error ? error.message : String(error) });
  }
});
