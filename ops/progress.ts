import { SingleBar } from 'cli-progress';
import { formatDuration } from '../cli/text.ts';

/** What an operator sees while work goes on. */
export interface Progress {
  /** A step whose length nobody knows. */
  step(text: string): void;
  /** Work of so many parts begins. */
  start(label: string, total: number): void;
  done(parts?: number): void;
  /** Leaves the terminal as it was found. */
  stop(): void;
}

export const silent: Progress = { step() {}, start() {}, done() {}, stop() {} };

/** One line that changes in place where someone sees it change, plain lines elsewhere. */
export function progressOn(stream: NodeJS.WriteStream): Progress {
  if (!stream.isTTY) {
    return { ...silent, start: (label, total) => stream.write(`${label}: ${total}\n`) };
  }
  let bar: SingleBar | undefined;
  let hasStep = false;
  const clear = () => {
    bar?.stop();
    bar = undefined;
    if (hasStep) {
      stream.write('\r\u001b[K');
      hasStep = false;
    }
  };
  return {
    step(text) {
      clear();
      stream.write(`  ${text} …`.slice(0, stream.columns - 1));
      hasStep = true;
    },
    start(label, total) {
      clear();
      const startedAt = performance.now();
      bar = new SingleBar({
        stream,
        clearOnComplete: true,
        hideCursor: true,
        gracefulExit: false,
        format: (_options, { progress, value, total: all }) =>
          render(
            label,
            { progress, value, total: all, elapsedMs: performance.now() - startedAt },
            stream.columns,
          ),
      });
      bar.start(total, 0);
    },
    done: (parts = 1) => bar?.increment(parts),
    stop: clear,
  };
}

/** `  Indexing ━━━━━━──────  600/1,000 · 12.4 s` */
function render(
  label: string,
  now: { progress: number; value: number; total: number; elapsedMs: number },
  columns: number,
): string {
  const counts = `${now.value.toLocaleString('en-US')}/${now.total.toLocaleString('en-US')} · ${formatDuration(now.elapsedMs)}`;
  const width = Math.max(10, Math.min(40, columns - label.length - counts.length - 8));
  const filled = Math.round(width * Math.min(1, now.progress));
  return `  ${label}  ${'━'.repeat(filled)}${'─'.repeat(width - filled)}  ${counts}`;
}
