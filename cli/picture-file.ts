import { readFileSync, statSync } from 'node:fs';
import { UserError } from './user-error.ts';

/**
 * A picture that a person named on the command line.
 *
 * @param refusalOf why nobody can be found with these bytes, as a sentence; undefined where somebody can
 * @throws UserError when it is not there, cannot be read, has more bytes than the service takes, or is refused
 */
export function readPictureFile(
  file: string,
  maxBytes: number,
  refusalOf: (bytes: Buffer) => string | undefined = () => undefined,
): Buffer {
  const found = statSync(file, { throwIfNoEntry: false });
  if (!found?.isFile()) {
    throw new UserError(`There is no picture ${file}.`);
  }
  if (found.size > maxBytes) {
    throw new UserError(`${file} has ${found.size} bytes; Rekognition takes ${maxBytes}: scale it down.`);
  }
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw new UserError(`${file} cannot be read: ${(error as Error).message}`, undefined, { cause: error });
  }
  const refusal = refusalOf(bytes);
  if (refusal !== undefined) {
    throw new UserError(`${file} cannot be searched for: ${refusal}`);
  }
  return bytes;
}
