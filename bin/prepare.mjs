/**
 * Run by npm after an install in this folder: synthesises the app beforehand, bundles of the functions included, so that the first
 * `npm start` or `npm test` need not. What cannot be made here, for want of the packages that only development needs, say, is made
 * by whatever needs it. JavaScript, because whatever Node there is runs it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const folder = mkdtempSync(path.join(tmpdir(), 'rollcall-prepare-'));
try {
  const { synthesise } = await import('../local/synthesis.ts');
  // It stays in the cache of `node_modules`.
  await synthesise({ assembly: path.join(folder, 'cdk.out'), log: path.join(folder, 'synth.log') });
} catch {
  // Whoever needs it says why it cannot be made.
  console.log('The app is not synthesised yet: npm start and npm test do so when they need it');
} finally {
  rmSync(folder, { recursive: true, force: true });
}
