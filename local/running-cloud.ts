import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { processIdentity } from './processes.ts';

/** Where the services of a local run are, for other processes of this machine. */
export interface RunningCloud {
  endpoints: {
    s3: string;
    sqs: string;
    dynamodb: string;
    rekognition: string;
    states: string;
    lambda: string;
  };
  databaseUrl: string;
  /** The stack's. */
  outputs: Record<string, string>;
}

interface Entry extends RunningCloud {
  pid: number;
  /** See processIdentity. */
  identity: string;
}

/** Tells others where the services are. Returns what takes that back. */
export function announce(stateDir: string, cloud: RunningCloud): () => void {
  const file = fileIn(stateDir);
  const entry: Entry = { pid: process.pid, identity: processIdentity(process.pid) ?? '', ...cloud };
  // The database's URL holds a password.
  writeFileSync(`${file}.new`, JSON.stringify(entry, null, 2), { mode: 0o600 });
  renameSync(`${file}.new`, file);
  return () => rmSync(file, { force: true });
}

/** The services of the process that runs on this state folder; undefined when none does. */
export function findRunning(stateDir: string): RunningCloud | undefined {
  const file = fileIn(stateDir);
  if (!existsSync(file)) {
    return undefined;
  }
  try {
    const { pid, identity, ...cloud } = JSON.parse(readFileSync(file, 'utf8')) as Entry;
    return processIdentity(pid) === identity ? cloud : undefined;
  } catch {
    return undefined;
  }
}

function fileIn(stateDir: string): string {
  return join(stateDir, 'running.json');
}
