import { resolve } from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

/** What a person types is relative to where they are; npm runs scripts in the project's root and tells that place apart. */
export function fromWorkingDirectory(path: string, env: Environment): string {
  const directory = env.npm_lifecycle_event === 'start' ? env.INIT_CWD : undefined;
  return resolve(directory ?? '.', path);
}
