import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { incompatibleState } from './state-folder.ts';

/**
 * Which app a state is of: the one that was run first on it, so that whoever goes on with it, an operator's command too, runs the same.
 *
 * @param app folder of the app that is to be run, absolute; undefined for that of the state, or else this project's own
 * @returns undefined for this project's own
 * @throws LocalError `IncompatibleStateError` where the state is another app's
 */
export function appOf(stateDir: string, app: string | undefined): string | undefined {
  const file = join(stateDir, 'app');
  const known = existsSync(file) ? readFileSync(file, 'utf8') : undefined;
  if (app === undefined || app === known) {
    return known;
  }
  if (known !== undefined || existsSync(join(stateDir, 'cdk.out'))) {
    throw incompatibleState(stateDir, `it is of ${known ?? 'Rollcall itself'}, not of ${app}`);
  }
  writeFileSync(`${file}.new`, app);
  renameSync(`${file}.new`, file);
  return app;
}
