/**
 * `npm run install-size [-- REVISION ...]`: how large an install is and how long it takes, what npm makes after it included, of the
 * files as they are now and as each revision had them. Each goes through `npm ci` in a folder of its own, which is removed
 * afterwards.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const LARGEST = 8;
const MEGABYTE = 1_000_000;
const root = path.join(import.meta.dirname, '..');

const revisions = process.argv.slice(2);
if (revisions.some((revision) => revision.startsWith('-'))) {
  console.log('Usage: npm run install-size [-- REVISION ...]');
  process.exit(revisions.includes('--help') ? 0 : 1);
}
for (const revision of [undefined, ...revisions]) {
  const folder = mkdtempSync(path.join(tmpdir(), 'rollcall-install-'));
  try {
    git('clone', '--quiet', '--no-checkout', root, folder);
    if (revision === undefined) {
      for (const file of filesNow()) {
        cpSync(path.join(root, file), path.join(folder, file));
      }
    } else {
      git('-C', folder, 'checkout', '--quiet', '--detach', git('rev-parse', revision).toString().trim());
    }
    const startedAt = performance.now();
    execFileSync('npm', ['ci', '--no-audit', '--no-fund'], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const seconds = (performance.now() - startedAt) / 1_000;
    const packages = packageSizes(path.join(folder, 'node_modules'));
    const all = packages.reduce((sum, { bytes }) => sum + bytes, 0);
    const cache = path.join(folder, 'node_modules/.cache');
    const made = existsSync(cache) ? sizeOf(cache, new Set()) : 0;
    console.log(
      `${revision ?? 'now'}: ${megabytes(all)} in ${packages.length} packages, ${megabytes(made)} made of the sources, ${seconds.toFixed(0)} s`,
    );
    for (const { name, bytes } of packages.slice(0, LARGEST)) {
      console.log(`  ${megabytes(bytes).padStart(8)}  ${name}`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Those that a commit of all that is here would have. */
function filesNow(): string[] {
  return git('ls-files', '--cached', '--others', '--exclude-standard', '-z')
    .toString()
    .split('\0')
    .filter((file) => file && existsSync(path.join(root, file)));
}

function megabytes(bytes: number): string {
  return `${(bytes / MEGABYTE).toFixed(0)} MB`;
}

function git(...args: string[]): Buffer {
  return execFileSync('git', args, { cwd: root, maxBuffer: 100 * MEGABYTE });
}

/** The packages of a `node_modules`, the largest first; those inside another are part of it. */
function packageSizes(modules: string): { name: string; bytes: number }[] {
  const names = readdirSync(modules).flatMap((name) =>
    name.startsWith('@') ? readdirSync(path.join(modules, name)).map((part) => `${name}/${part}`) : [name],
  );
  const counted = new Set<number>();
  return names
    .filter((name) => !name.startsWith('.'))
    .map((name) => ({ name, bytes: sizeOf(path.join(modules, name), counted) }))
    .sort((a, b) => b.bytes - a.bytes);
}

/** Bytes of the files in a folder, without what the file system rounds up; a file of two names is counted under one of them. */
function sizeOf(entry: string, counted: Set<number>): number {
  const status = lstatSync(entry);
  if (status.isDirectory()) {
    return readdirSync(entry).reduce((sum, name) => sum + sizeOf(path.join(entry, name), counted), 0);
  }
  if (counted.has(status.ino)) {
    return 0;
  }
  counted.add(status.ino);
  return status.size;
}
