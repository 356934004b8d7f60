import { SingleBar } from 'cli-progress';
import { truncateMiddle } from '../../cli/text.ts';
import { about, timeLeftAt } from '../../lambdas/shared/contract/time-left.ts';

/** What happens while one waits. */
export interface Progress {
  /** A step of starting or stopping. */
  step(text: string): void;
  /** The photos begin. */
  start(total: number): void;
  /** One more photo is at its end. */
  done(faces: number): void;
  /** Why nothing moves; undefined when something does. */
  held(why: string | undefined): void;
  /** Leaves the terminal as it was found. */
  stop(): void;
}

/** For `--json`: says nothing. */
export const silent: Progress = { step() {}, start() {}, done() {}, held() {}, stop() {} };

/** For logs: a plain line per step. */
export function plainProgress(stream: NodeJS.WritableStream): Progress {
  let latest = '';
  return {
    ...silent,
    step(text) {
      if (text !== latest) {
        stream.write(`${text}\n`);
      }
      latest = text;
    },
    start: (total) => stream.write(`Indexing ${total} ${total === 1 ? 'photo' : 'photos'}\n`),
    held(why) {
      if (why !== undefined && why !== latest) {
        stream.write(`${why}\n`);
      }
      latest = why ?? '';
    },
  };
}

/** For terminals: one line that changes in place and is gone at the end. */
export function liveProgress(stream: NodeJS.WriteStream): Progress {
  let bar: SingleBar | undefined;
  let hasStepLine = false;
  let faces = 0;
  let startedAt = 0;
  let why: string | undefined;

  const clearStep = (): void => {
    if (hasStepLine) {
      stream.write('\r\u001b[K');
      hasStepLine = false;
    }
  };
  const stopBar = (): void => {
    bar?.stop();
    bar = undefined;
  };
  return {
    step(text) {
      stopBar();
      clearStep();
      stream.write(`  ${text.slice(0, stream.columns - 4)} …`);
      hasStepLine = true;
    },
    start(total) {
      clearStep();
      startedAt = performance.now();
      bar = new SingleBar({
        stream,
        clearOnComplete: true,
        hideCursor: true,
        gracefulExit: false,
        forceRedraw: true,
        format: (_options, { progress, value, total: all }) =>
          renderBar(
            { progress, value, total: all, faces, elapsedMs: performance.now() - startedAt, why },
            stream.columns,
          ),
      });
      bar.start(total, 0);
    },
    done(found) {
      faces += found;
      bar?.increment();
    },
    held(reason) {
      why = reason;
    },
    stop() {
      stopBar();
      clearStep();
    },
  };
}

/** From then on the pace says something: the first photos wait for the models, and for cold starts. */
const PACE_AFTER_PHOTOS = 5;

/** By the pace so far: here the detector is what photos wait for, and not the quota. */
function timeLeft({ value, total, elapsedMs }: { value: number; total: number; elapsedMs: number }): string {
  if (value < PACE_AFTER_PHOTOS || value >= total) {
    return '';
  }
  const { seconds } = timeLeftAt(total - value, value / (elapsedMs / 1_000), 0);
  return ` · ${about(seconds!)} left`;
}

/** `  Indexing ━━━━━━━━──────────  18/30 · 31 faces · 12 s · about 10 seconds left`, or why nothing moves in place of the rest. */
export function renderBar(
  now: {
    progress: number;
    value: number;
    total: number;
    faces: number;
    elapsedMs: number;
    why?: string | undefined;
  },
  columns: number,
): string {
  const counts = `${now.value}/${now.total} · ${now.faces} ${now.faces === 1 ? 'face' : 'faces'} · ${Math.floor(now.elapsedMs / 1_000)} s${timeLeft(now)}`;
  if (now.why !== undefined) {
    const whole = `  Indexing  ${now.value}/${now.total} · ${now.why}`;
    // Where there is no room for what to do, at least why.
    return whole.length < columns ? whole : truncateMiddle(whole.replace(/: npm run .*/, ''), columns - 1);
  }
  const width = Math.max(10, Math.min(40, columns - counts.length - 16));
  const filled = Math.round(width * now.progress);
  return `  Indexing  ${'━'.repeat(filled)}${'─'.repeat(width - filled)}  ${counts}`;
}
