/** The page's own files, built once for as long as it is served. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const SOURCE = join(import.meta.dirname, '../../page');

export interface PageFile {
  contentType: string;
  content: Buffer;
}

/** By the path that each is served at. */
export async function pageFiles(): Promise<ReadonlyMap<string, PageFile>> {
  const { outputFiles } = await build({
    entryPoints: [{ in: join(SOURCE, 'main.tsx'), out: 'page' }],
    bundle: true,
    minify: true,
    write: false,
    outdir: SOURCE,
    format: 'esm',
    target: 'es2023',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    logLevel: 'silent',
  });
  const read = (name: string) => readFileSync(join(SOURCE, name));
  return new Map([
    ['/', { contentType: 'text/html; charset=utf-8', content: read('index.html') }],
    ['/page.css', { contentType: 'text/css; charset=utf-8', content: read('style.css') }],
    ['/page.svg', { contentType: 'image/svg+xml', content: read('page.svg') }],
    [
      '/page.js',
      { contentType: 'text/javascript; charset=utf-8', content: Buffer.from(outputFiles[0]!.contents) },
    ],
  ]);
}
