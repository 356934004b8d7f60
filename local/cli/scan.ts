import { readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from './user-error.ts';

/** Every format that a camera or a phone hands over; which of them Rekognition takes, the pipeline says. */
const PICTURE = /\.(jpe?g|png|hei[cf]|webp|avif|gif|tiff?|bmp)$/i;

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

export interface Scan {
  /** In the order in which a person would list them: `IMG 2` before `IMG 10`. */
  pictures: Picture[];
  /** Pictures, and folders that may hold pictures, that cannot be read. */
  unreadable: Unreadable[];
  /** Files that are no pictures by their extension. */
  others: string[];
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
 * Finds the pictures of a folder and its subfolders. Hidden files and folders are left out. Links are followed, but each
 * folder is read once however many links lead to it, so that a link to a parent ends there.
 *
 * @param root as resolveFolder returns it
 */
export async function scanFolder(root: string): Promise<Scan> {
  const scan: Scan = { pictures: [], unreadable: [], others: [] };
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
      if (entry.name.startsWith('.')) {
        continue;
      }
      const file = folder === '' ? entry.name : `${folder}/${entry.name}`;
      try {
        const found = await stat(join(root, file));
        if (found.isDirectory()) {
          // Real folders first: a picture is named by its own place and not by a link's.
          await (entry.isSymbolicLink() ? linkedFolders.push(file) : visit(file));
        } else if (!PICTURE.test(entry.name)) {
          scan.others.push(file);
        } else if (found.isFile()) {
          scan.pictures.push({ file, path: join(root, file), size: found.size });
        } else {
          scan.unreadable.push({ file, reason: 'not a regular file' });
        }
      } catch (error) {
        if (PICTURE.test(entry.name) || entry.isDirectory()) {
          scan.unreadable.push({ file, reason: describeFileError(error, entry) });
        } else {
          scan.others.push(file);
        }
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
  scan.others.sort(byName.compare);
  return scan;
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
