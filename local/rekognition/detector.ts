import { Worker } from 'node:worker_threads';
import type { DetectorAnswer, DetectorJob, DetectorThreadOptions } from './detector-worker.ts';
import type { AnalysedFace } from './face-analysis.ts';

/** The models could not answer: the thread died, hung, or the pool is closing. */
export class DetectorFailure extends Error {
  override readonly name = 'DetectorFailure';
}

export interface DetectorOptions {
  /** Threads; each takes one core while it works, and about 400 MB. */
  workers: number;
  /** An image that takes longer loses its thread. Loading the models counts too. */
  timeoutMs?: number;
  /** The thread's program, for tests of what happens when it dies. */
  entry?: URL;
}

interface Waiting {
  job: DetectorJob;
  resolve(faces: AnalysedFace[]): void;
  reject(error: Error): void;
}

interface Thread {
  worker: Worker;
  ready: boolean;
  current: Waiting | undefined;
  timer: NodeJS.Timeout | undefined;
}

const DEFAULT_TIMEOUT_MS = 60_000;

/**
 * Runs images through threads, first come first served. A thread that dies or hangs fails the image it was at, and is
 * replaced when the next image comes.
 */
export class Detector {
  readonly #options: Required<DetectorOptions>;
  readonly #waiting: Waiting[] = [];
  readonly #threads = new Set<Thread>();
  #closed = false;

  constructor(options: DetectorOptions) {
    this.#options = {
      timeoutMs: DEFAULT_TIMEOUT_MS,
      entry: new URL('./detector-worker.ts', import.meta.url),
      ...options,
    };
  }

  /** Starts loading the models in a first thread, without waiting for it. */
  warmUp(): void {
    if (!this.#closed && this.#threads.size === 0) {
      this.#startThread({ warmUp: true });
    }
  }

  /**
   * Finds the faces of an image. The image's buffer goes to the thread: it cannot be used afterwards.
   *
   * @throws DetectorFailure
   */
  analyse(job: DetectorJob): Promise<AnalysedFace[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ job, resolve, reject });
      this.#dispatch();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const waiting of this.#waiting.splice(0)) {
      waiting.reject(new DetectorFailure('The endpoint is shutting down'));
    }
    await Promise.all(
      [...this.#threads].map((thread) => this.#discard(thread, 'The endpoint is shutting down')),
    );
  }

  #dispatch(): void {
    if (this.#closed) {
      for (const waiting of this.#waiting.splice(0)) {
        waiting.reject(new DetectorFailure('The endpoint is shutting down'));
      }
      return;
    }
    for (const thread of this.#threads) {
      if (thread.ready && !thread.current) {
        this.#assign(thread);
      }
    }
    const starting = [...this.#threads].filter((thread) => !thread.ready).length;
    if (this.#waiting.length > starting && this.#threads.size < this.#options.workers) {
      // The first run takes longer than the next, and an image that waits is as good a first as any.
      this.#startThread({ warmUp: false });
    }
  }

  #assign(thread: Thread): void {
    const next = this.#waiting.shift();
    if (!next) {
      return;
    }
    thread.current = next;
    this.#watch(thread);
    const { buffer } = next.job.image.data;
    thread.worker.postMessage(next.job, buffer instanceof ArrayBuffer ? [buffer] : []);
  }

  #startThread(options: DetectorThreadOptions): void {
    const worker = new Worker(this.#options.entry, { workerData: options });
    const thread: Thread = { worker, ready: false, current: undefined, timer: undefined };
    this.#threads.add(thread);
    this.#watch(thread);
    worker.on('message', (answer: DetectorAnswer) => this.#onAnswer(thread, answer));
    worker.on('error', (error) => void this.#discard(thread, error.message));
    worker.on('exit', (code) => void this.#discard(thread, `The detector's thread ended (${code})`));
    // A thread that waits for work keeps no process alive.
    worker.unref();
  }

  #watch(thread: Thread): void {
    clearTimeout(thread.timer);
    const { timeoutMs } = this.#options;
    thread.timer = setTimeout(() => {
      void this.#discard(thread, `The detector did not answer within ${timeoutMs} ms`);
    }, timeoutMs);
    thread.timer.unref();
  }

  #onAnswer(thread: Thread, answer: DetectorAnswer): void {
    clearTimeout(thread.timer);
    if ('ready' in answer) {
      thread.ready = true;
    } else {
      const { current } = thread;
      thread.current = undefined;
      if ('faces' in answer) {
        current?.resolve(answer.faces);
      } else {
        current?.reject(new DetectorFailure(answer.error));
      }
    }
    this.#dispatch();
  }

  /** Ends a thread; fails what it was at, or, if it could not even load, the image that waited for it. */
  async #discard(thread: Thread, reason: string): Promise<void> {
    if (!this.#threads.delete(thread)) {
      return;
    }
    clearTimeout(thread.timer);
    const victim = thread.ready ? thread.current : this.#waiting.shift();
    thread.current = undefined;
    victim?.reject(new DetectorFailure(reason));
    this.#dispatch();
    await thread.worker.terminate();
  }
}
