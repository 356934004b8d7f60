import { createInterface } from 'node:readline/promises';
import { exitCodes, UserError } from '../cli/user-error.ts';

/**
 * Asks a person, who may also leave without an answer.
 *
 * @throws UserError that says so when they leave (Ctrl-C, Ctrl-D, a closed terminal): nothing has happened by then
 */
export async function askPerson(
  question: string,
  input: NodeJS.ReadableStream,
  output: NodeJS.WritableStream,
): Promise<boolean> {
  const dialogue = createInterface({ input, output });
  const left = Promise.withResolvers<never>();
  const leave = (exitCode: number) => () => {
    output.write('\n');
    left.reject(new UserError('Nothing happened: the question was left open.', exitCode));
  };
  dialogue.once('SIGINT', leave(exitCodes.interrupted));
  dialogue.once('close', leave(exitCodes.incomplete));
  const answer = dialogue.question(`${question} [y/N] `);
  // Closing the dialogue rejects it, when nobody listens any more.
  answer.catch(() => {});
  try {
    return /^y(es)?$/i.test((await Promise.race([answer, left.promise])).trim());
  } finally {
    dialogue.removeAllListeners('close');
    dialogue.close();
  }
}
