import { open, readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../../cli/user-error.ts';
import { HEAD_BYTES, reasonToSkip } from './picture-kind.ts';

/** What is so much too large is not sent only to be refused: a video with a picture's name would take minutes. */
const MAX_SENT_BYTES = 100 * 1024 * 1024;

export interface Picture {
  /** Path relative to the folder, `/`-separated, spelt as on disk. */
  file: string;
  /** Absolute path. */
  path: string;
  /** Bytes. */
  size: number;
}

export interface Unreadable {
  /** As in Picture. */
  file: string;
  /** A few words for the user. */
  reason: string;
}

/** A file, or a hidden folder with all that is in it, that is left out. */
export interface Skipped {
  /** As in Picture. */
  file: string;
  /** A few words for the user. */
  why: string;
}

/** Of every file below the folder: each is in one of the lists. */
export interface Scan {
  /** In the order in which a person would list them: `IMG 2` before `IMG 10`. */
  pictures: Picture[];
  /** Files that may be pictures, and folders that may hold pictures, that cannot be read. */
  unreadable: Unreadable[];
  skipped: Skipped[];
}

const byName = new Intl.Collator('en', { numeric: true });

/**
 * The folder's real path, so that one folder is one folder whichever way it was named.
 *
 * @throws UserError when there is none, or when it is a file
 */
export async function resolveFolder(folder: string): Promise<string> {
  try {
    const path = await realpath(folder);
    if (!(await stat(path)).isDirectory()) {
      throw new UserError(`${folder} is a file: give the folder that holds it.`);
    }
    return path;
  } catch (error) {
    if (error instanceof UserError) {
      throw error;
    }
    throw new UserError(`The folder ${folder} cannot be used: ${describeFileError(error)}.`);
  }
}

/**
 * Finds the pictures of a folder and its subfolders, by their first bytes. What is hidden is left out. Links are followed, but each
 * folder is read once however many links lead to it, so that a link to a parent ends there.
 *
 * @param root as resolveFolder returns it
 */
export async function scanFolder(root: string): Promise<Scan> {
  const scan: Scan = { pictures: [], unreadable: [], skipped: [] };
  /** Whether what cannot be read is missed is told by its name alone. */
  const leaveOut = (file: string, entry: { name: string; isDirectory(): boolean }, reason: string): void => {
    if (entry.isDirectory() || reasonToSkip(entry.name, Buffer.alloc(0)) === undefined) {
      scan.unreadable.push({ file, reason });
    } else {
      scan.skipped.push({ file, why: reason });
    }
  };
  const visited = new Set<string>();
  const linkedFolders: string[] = [];

  async function visit(folder: string): Promise<void> {
    const path = join(root, folder);
    const real = await realpath(path);
    if (visited.has(real)) {
      return;
    }
    visited.add(real);
    for (const entry of await readdir(path, { withFileTypes: true })) {
      const file = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.name.startsWith('.')) {
        scan.skipped.push({ file, why: 'hidden' });
        continue;
      }
      try {
        const found = await stat(join(root, file));
        if (found.isDirectory()) {
          // Real folders first: a picture is named by its own place and not by a link's.
          await (entry.isSymbolicLink() ? linkedFolders.push(file) : visit(file));
        } else if (!found.isFile()) {
          // A pipe is not opened: that would wait for somebody to write.
          leaveOut(file, entry, 'not a regular file');
        } else {
          const why = reasonToSkip(entry.name, await readHead(join(root, file))) ?? tooLarge(found.size);
          if (why === undefined) {
            scan.pictures.push({ file, path: join(root, file), size: found.size });
          } else {
            scan.skipped.push({ file, why });
          }
        }
      } catch (error) {
        leaveOut(file, entry, describeFileError(error, entry));
      }
    }
  }

  try {
    await visit('');
    for (let file = linkedFolders.shift(); file !== undefined; file = linkedFolders.shift()) {
      const folder = file;
      await visit(folder).catch((error: unknown) =>
        scan.unreadable.push({ file: folder, reason: describeFileError(error) }),
      );
    }
  } catch (error) {
    throw new UserError(`The folder ${root} cannot be read: ${describeFileError(error)}.`);
  }
  scan.pictures.sort((a, b) => byName.compare(a.file, b.file));
  scan.unreadable.sort((a, b) => byName.compare(a.file, b.file));
  scan.skipped.sort((a, b) => byName.compare(a.file, b.file));
  return scan;
}

function tooLarge(size: number): string | undefined {
  return size > MAX_SENT_BYTES
    ? `${Math.round(size / 1e6).toLocaleString('en-US')} MB: Rekognition takes at most 15 MB`
    : undefined;
}

async function readHead(path: string): Promise<Buffer> {
  await using file = await open(path);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
  return buffer.subarray(0, bytesRead);
}

/** What went wrong with a file, in words. */
export function describeFileError(
  error: unknown,
  entry?: { name: string; isSymbolicLink(): boolean },
): string {
  switch ((error as NodeJS.ErrnoException | undefined)?.code) {
    case 'ENOENT':
      if (entry?.isSymbolicLink()) {
        return 'a link to a file that does not exist';
      }
      // Node replaces what is no UTF-8, and the replaced name leads nowhere.
      return entry?.name.includes('\uFFFD') ? 'its name is not UTF-8' : 'it does not exist';
    case 'EACCES':
    case 'EPERM':
      return 'permission denied';
    case 'ELOOP':
      return 'a link that leads back to itself';
    case 'ENOTDIR':
      return 'part of its path is a file';
    case 'ENAMETOOLONG':
      return 'its name is too long';
    case 'EIO':
      return 'the disk cannot read it';
    default:
      return error instanceof Error ? error.message : String(error);
  }
}
