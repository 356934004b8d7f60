import { createReadStream } from 'node:fs';
import { open, rename, rm, truncate } from 'node:fs/promises';
import path from 'node:path';

/** A file of JSON lines that only grows. A line counts once it is on disk as a whole, newline included. */
export class Journal {
  readonly file: string;
  #size: number;
  #broken = false;

  private constructor(file: string, size: number) {
    this.file = file;
    this.#size = size;
  }

  /** Writes a journal that is there with all its records or not at all. Replaces one of the same name. */
  static async create(file: string, records: Iterable<unknown>): Promise<Journal> {
    const unfinished = `${file}.tmp`;
    const handle = await open(unfinished, 'w');
    let size = 0;
    try {
      for (const record of records) {
        const line = toLine(record);
        await handle.writeFile(line);
        size += line.length;
      }
      await handle.datasync();
    } finally {
      await handle.close();
    }
    await rename(unfinished, file);
    await syncFolder(path.dirname(file));
    return new Journal(file, size);
  }

  /**
   * Reads a journal's records in their order. What a crash left of a last line is cut off.
   *
   * @throws Error if a line before the last is damaged: then the file is not what was written
   */
  static async open(file: string, onRecord: (record: unknown) => void): Promise<Journal> {
    let size = 0;
    let lineNumber = 0;
    let rest: Buffer = Buffer.alloc(0);
    let damaged: number | undefined;
    for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
      rest = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
      for (let end = rest.indexOf(0x0a); end >= 0; end = rest.indexOf(0x0a)) {
        if (damaged !== undefined) {
          throw new Error(`${file}: line ${damaged} is damaged`);
        }
        lineNumber++;
        const record = parse(rest.subarray(0, end));
        if (record === undefined) {
          damaged = lineNumber;
        } else {
          onRecord(record);
          size += end + 1;
        }
        rest = rest.subarray(end + 1);
      }
    }
    if (rest.length > 0 || damaged !== undefined) {
      await truncate(file, size);
    }
    return new Journal(file, size);
  }

  /** Returns once the record is on disk. One call at a time. */
  async append(record: unknown): Promise<void> {
    if (this.#broken) {
      throw new Error(`${this.file}: an earlier write failed and could not be undone`);
    }
    const line = toLine(record);
    const handle = await open(this.file, 'a');
    try {
      await handle.writeFile(line);
      await handle.datasync();
      this.#size += line.length;
    } catch (error) {
      // Half a line must not become the beginning of the next one.
      await handle.truncate(this.#size).catch(() => {
        this.#broken = true;
      });
      throw error;
    } finally {
      await handle.close();
    }
  }

  async remove(): Promise<void> {
    await rm(this.file);
    await syncFolder(path.dirname(this.file));
  }
}

function toLine(record: unknown): Buffer {
  return Buffer.from(`${JSON.stringify(record)}\n`);
}

function parse(line: Buffer): unknown {
  try {
    return JSON.parse(line.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** A new or removed name is durable only when its folder is. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') {
    return;
  }
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
