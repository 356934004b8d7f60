import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { LocalError } from './local-error.ts';
import { tryLock } from './lock.ts';

/**
 * Photos, face vectors and passwords: for nobody else on the machine. Where PostgreSQL cannot run as root and has no other way
 * in than through the folder, others may pass, and still not look.
 */
const PRIVATE = process.getuid?.() === 0 && process.platform !== 'linux' ? 0o711 : 0o700;

/** Raised when what lies in the folder can no longer be read by this version. */
const LAYOUT_VERSION = 1;

export interface StateFolder {
  path: string;
  release(): void;
}

/**
 * Takes the folder for this process alone, and creates it if need be.
 *
 * @param path absolute
 * @throws LocalError `StateFolderInUseError` while another live process has it, `IncompatibleStateError`
 */
export function openStateFolder(path: string): StateFolder {
  const release = takeStateFolder(path);
  try {
    checkLayout(path);
    makePrivate(path);
  } catch (error) {
    release();
    throw error;
  }
  return { path, release };
}

/**
 * The same without a look at what is in it.
 *
 * @returns what gives it back
 * @throws LocalError `StateFolderInUseError`
 */
export function takeStateFolder(path: string): () => void {
  mkdirSync(path, { recursive: true, mode: PRIVATE });
  const taken = tryLock(join(path, 'lock'));
  if ('holder' in taken) {
    const who = taken.holder === process.pid ? 'this process' : `process ${taken.holder}`;
    throw new LocalError(
      'StateFolderInUseError',
      `Another local run (${who}) is using ${path}: wait for it to end, or stop it.`,
    );
  }
  return taken.release;
}

/** One of an earlier version was open to all. */
function makePrivate(path: string): void {
  const mode = statSync(path).mode & 0o777;
  if ((mode & ~PRIVATE) !== 0) {
    chmodSync(path, mode & PRIVATE);
  }
}

function checkLayout(path: string): void {
  const versionFile = join(path, 'layout-version');
  if (existsSync(versionFile)) {
    const version = readFileSync(versionFile, 'utf8').trim();
    if (version !== String(LAYOUT_VERSION)) {
      throw incompatibleState(
        path,
        `it has layout ${version || 'unknown'} and this version needs ${LAYOUT_VERSION}`,
      );
    }
    return;
  }
  const foreign = readdirSync(path).filter((name) => !/^(lock|\.)/.test(name));
  if (foreign.length > 0) {
    throw incompatibleState(path, `it holds ${foreign[0]}, but no layout version`);
  }
  const fresh = `${versionFile}.new`;
  writeFileSync(fresh, `${LAYOUT_VERSION}\n`);
  renameSync(fresh, versionFile);
}

export function incompatibleState(path: string, why: string): LocalError {
  return new LocalError(
    'IncompatibleStateError',
    `The local state in ${path} cannot be used: ${why}. Remove it with: npm run local:reset`,
  );
}
