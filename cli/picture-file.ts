import { readFileSync, statSync } from 'node:fs';
import { UserError } from './user-error.ts';

/**
 * A picture that a person named on the command line.
 *
 * @throws UserError when it is not there, cannot be read, or has more bytes than the service takes
 */
export function readPictureFile(file: string, maxBytes: number): Buffer {
  const found = statSync(file, { throwIfNoEntry: false });
  if (!found?.isFile()) {
    throw new UserError(`There is no picture ${file}.`);
  }
  if (found.size > maxBytes) {
    throw new UserError(`${file} has ${found.size} bytes; Rekognition takes ${maxBytes}: scale it down.`);
  }
  try {
    return readFileSync(file);
  } catch (error) {
    throw new UserError(`${file} cannot be read: ${(error as Error).message}`, undefined, { cause: error });
  }
}
