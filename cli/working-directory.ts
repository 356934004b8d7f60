import { resolve } from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

/** npm's scripts that take paths. Where they are started by another one, such as a test, INIT_CWD is that one's. */
const SCRIPTS = ['start', 'ops', 'local:up', 'local:rekognition'];

/** What a person types is relative to where they are; npm runs scripts in the project's root and tells that place apart. */
export function fromWorkingDirectory(path: string, env: Environment): string {
  const directory = SCRIPTS.includes(env.npm_lifecycle_event ?? '') ? env.INIT_CWD : undefined;
  return resolve(directory ?? '.', path);
}
