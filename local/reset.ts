/** `npm run local:reset`: removes the state of the local run. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../cli/command.ts';
import { shortPath } from '../cli/text.ts';
import { exitCodes, UserError } from '../cli/user-error.ts';
import { parseResetArguments, resetUsage } from './cli/arguments.ts';
import { stateFolder } from './where.ts';

await runCommand({ usage: () => resetUsage, what: 'The reset', run: reset });

async function reset(argv: readonly string[]): Promise<number> {
  parseResetArguments(argv);
  const folder = stateFolder(process.env);
  const name = shortPath(folder);
  if (existsSync(folder) && !isState(folder)) {
    throw new UserError(
      `${name} is not the state of a local run, so it is left alone: look at ROLLCALL_STATE_DIR.`,
      exitCodes.incomplete,
    );
  }
  const { removeState } = await import('./remove-state.ts');
  const removed = await removeState(folder);
  process.stdout.write(
    removed
      ? `Removed ${name}: photos, faces and database of the local run are gone.\n`
      : `There is nothing to remove: ${name} does not exist.\n`,
  );
  return exitCodes.done;
}

/** ROLLCALL_STATE_DIR can name any folder, and what is removed does not come back. */
function isState(folder: string): boolean {
  return (
    statSync(folder).isDirectory() &&
    (existsSync(join(folder, 'layout-version')) || readdirSync(folder).every((name) => /^lock/.test(name)))
  );
}
