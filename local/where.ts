/** Where the local run of this machine keeps its state and where its database listens, for whoever looks for it. */
import { join, resolve } from 'node:path';
import { UserError } from '../cli/user-error.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const projectRoot = resolve(import.meta.dirname, '..');

/** A PostgreSQL of the user's own sits at 5432; ports from 32768 on are handed out to outgoing connections by Linux. */
export const DEFAULT_POSTGRES_PORT = 25432;

/**
 * `.rollcall` in the project, wherever the command is run; ROLLCALL_STATE_DIR puts it elsewhere. Absolute.
 *
 * @param app folder of another app, whose state is there
 */
export function stateFolder(env: Environment, app = projectRoot): string {
  return env.ROLLCALL_STATE_DIR ? resolve(env.ROLLCALL_STATE_DIR) : join(app, '.rollcall');
}

/** The port without an option: ROLLCALL_POSTGRES_PORT, else our own. */
export function defaultPostgresPort(env: Environment): number {
  return env.ROLLCALL_POSTGRES_PORT
    ? parsePort('ROLLCALL_POSTGRES_PORT', env.ROLLCALL_POSTGRES_PORT)
    : DEFAULT_POSTGRES_PORT;
}

/** @throws UserError (exit code 2) that names the source */
export function parsePort(source: string, text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) {
    throw new UserError(`${source} takes a number from 1 to 65535, not ${JSON.stringify(text)}.`);
  }
  return port;
}
