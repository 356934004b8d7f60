import module from 'node:module';
import { join } from 'node:path';

const FOLDER = join(import.meta.dirname, '../node_modules/.cache/rollcall/code');

/**
 * Keeps what Node.js makes of the modules that are loaded from now on, types stripped and compiled, for the next process and
 * for this one's threads: a command begins in half the time. What cannot be kept is made again.
 */
export function keepCompiledCode(): void {
  // Threads find it in the environment.
  process.env.NODE_COMPILE_CACHE ??= FOLDER;
  module.enableCompileCache?.(process.env.NODE_COMPILE_CACHE);
}
