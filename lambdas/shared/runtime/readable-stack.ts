import { readFileSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { fileURLToPath } from 'node:url';

/** `file:///var/task/index.mjs:12:3456`, of whatever module, with the line and the column counted from one. */
const POSITION = /(file:\/\/[^\s)]+\.mjs):(\d+):(\d+)/g;

const maps = new Map<string, SourceMap | undefined>();

/**
 * A stack in terms of the sources instead of their bundle. Only who needs it reads the map, a megabyte:
 * `--enable-source-maps` reads it at every cold start, which costs a quarter of the time that the code itself takes to load.
 *
 * @returns the stack as it was where there is no map
 */
function readableStack(stack: string): string {
  return stack.replaceAll(POSITION, (position, module: string, line: string, column: string) => {
    const origin = mapOf(module)?.findOrigin(Number(line), Number(column));
    return origin && 'fileName' in origin
      ? `${origin.fileName}:${origin.lineNumber}:${origin.columnNumber}`
      : position;
  });
}

/** Rewrites the stacks of an error and of what caused it. */
export function makeReadable(error: Error): void {
  const seen = new Set<unknown>();
  for (let one: unknown = error; one instanceof Error && !seen.has(one); one = one.cause) {
    seen.add(one);
    if (one.stack !== undefined) {
      one.stack = readableStack(one.stack);
    }
  }
}

function mapOf(module: string): SourceMap | undefined {
  if (!maps.has(module)) {
    maps.set(module, read(`${fileURLToPath(module)}.map`));
  }
  return maps.get(module);
}

function read(file: string): SourceMap | undefined {
  try {
    return new SourceMap(JSON.parse(readFileSync(file, 'utf8')) as SourceMapPayload);
  } catch {
    // An error must not be hidden by another about how it is shown.
    return undefined;
  }
}
