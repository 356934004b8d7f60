import { styleText } from 'node:util';
import { liveProgress, type Progress, plainProgress } from './progress.ts';
import type { Paint } from './report.ts';

/** Colours for a terminal that shows them; NO_COLOR and a pipe take them away. */
export function painter(stream: NodeJS.WriteStream): Paint {
  return (style, text) => styleText(style, text, { stream });
}

/** One line that changes, where someone sees it change; plain lines on stderr elsewhere. */
export function chooseProgress(): Progress {
  const isTerminal = process.stdout.isTTY && process.stderr.isTTY;
  return isTerminal ? liveProgress(process.stderr) : plainProgress(process.stderr);
}
