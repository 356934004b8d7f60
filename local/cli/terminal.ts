import { styleText } from 'node:util';
import type { Paint } from './report.ts';

/** Colours for a terminal that shows them; NO_COLOR and a pipe take them away. */
export function painter(stream: NodeJS.WriteStream): Paint {
  return (style, text) => styleText(style, text, { stream });
}
