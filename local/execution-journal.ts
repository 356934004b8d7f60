import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type ExecutionStatus = 'SUCCEEDED' | 'FAILED' | 'TIMED_OUT' | 'ABORTED';

export interface ExecutionEnd {
  executionArn: string;
  status: ExecutionStatus;
  input: unknown;
  output?: unknown;
  error?: string;
  cause?: string;
  startedAt: Date;
  endedAt: Date;
  /** States entered and retried: what Step Functions bills. */
  transitions: number;
}

interface JournalEntry {
  name: string;
  input?: unknown;
}

/** The last part of an ARN: of a state machine or an execution. */
export function nameOf(arn: string): string {
  return arn.slice(arn.lastIndexOf(':') + 1);
}

/** Executions of a machine that were started and have not ended, by their names, where nobody works at them. */
export function readInterrupted(folder: string, machine: string): Map<string, JournalEntry> {
  const file = openFileOf(folder, machine);
  const interrupted = new Map<string, JournalEntry>();
  for (const line of existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []) {
    try {
      const entry = JSON.parse(line) as JournalEntry;
      if ('input' in entry) {
        interrupted.set(entry.name, entry);
      } else {
        interrupted.delete(entry.name);
      }
    } catch {
      // Empty or cut off.
    }
  }
  return interrupted;
}

function openFileOf(folder: string, machine: string): string {
  return join(folder, `open-executions-${machine}.jsonl`);
}

/**
 * What was started and has not ended, for the day the process is killed: a line for each start and each end. A line that
 * was cut off with the process is the last one and tells nothing that was promised to anyone.
 */
export function openJournal(folder: string, machine: string) {
  const openFile = openFileOf(folder, machine);
  const endedFile = join(folder, 'executions.jsonl');
  const interrupted = readInterrupted(folder, machine);
  const fresh = `${openFile}.new`;
  writeFileSync(fresh, [...interrupted.values()].map((entry) => `${JSON.stringify(entry)}\n`).join(''));
  renameSync(fresh, openFile);

  return {
    started(name: string, input: unknown): void {
      appendFileSync(openFile, `${JSON.stringify({ name, input } satisfies JournalEntry)}\n`);
    },
    ended(end: ExecutionEnd): void {
      appendFileSync(endedFile, `${JSON.stringify(end)}\n`);
      appendFileSync(
        openFile,
        `${JSON.stringify({ name: nameOf(end.executionArn) } satisfies JournalEntry)}\n`,
      );
    },
    interruptedCount: () => interrupted.size,
    interrupted(): { name: string; input: unknown }[] {
      const entries = [...interrupted.values()].map(({ name, input }) => ({ name, input }));
      interrupted.clear();
      return entries;
    },
  };
}
