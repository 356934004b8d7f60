import path from 'node:path';
import type { BuildOptions } from 'esbuild';

export const PROJECT_ROOT = path.join(import.meta.dirname, '..');

/** How a Lambda is bundled: the handler with everything it imports, in one ES module. */
export function bundleOptions(name: string): BuildOptions {
  return {
    entryPoints: [path.join(PROJECT_ROOT, 'lambdas', name, 'handler.ts')],
    absWorkingDir: PROJECT_ROOT,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    mainFields: ['module', 'main'],
    banner: {
      // umzug is CommonJS, whose calls of require an ES module does not know.
      js: 'import{createRequire as __createRequire}from"node:module";const require=__createRequire(import.meta.url);',
    },
    minify: true,
    sourcemap: true,
    sourcesContent: false,
    logLevel: 'warning',
  };
}
