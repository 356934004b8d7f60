import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Retrier } from './workflow.ts';

/** As much of a state as its retries and its history need. */
export interface AnyState {
  Type: string;
  Resource?: string;
  Parameters?: Record<string, unknown>;
  Retry?: Retrier[];
  ItemProcessor?: { States: Record<string, AnyState>; ProcessorConfig?: { Mode: string } };
}

export interface Definition {
  TimeoutSeconds: number;
  States: Record<string, AnyState>;
}

export const machines = readdirSync(path.join(import.meta.dirname, '../../state-machines')).map((file) =>
  file.replace('.asl.json', ''),
);

export function definitionOf(machine: string): Definition {
  const folder = '../../state-machines';
  return JSON.parse(
    readFileSync(path.join(import.meta.dirname, folder, `${machine}.asl.json`), 'utf8'),
  ) as Definition;
}

/** All Tasks that call a function, those inside of Maps too. */
export function functionTasks(states: Definition['States']): [name: string, state: AnyState][] {
  return Object.entries(states).flatMap(([name, state]) =>
    state.Type === 'Task' && /FunctionArn\}$/.test(state.Resource ?? '')
      ? [[name, state] as [string, AnyState]]
      : functionTasks(state.ItemProcessor?.States ?? {}),
  );
}

export function retrierOf(state: AnyState | undefined, error: string): Retrier | undefined {
  return state?.Retry?.find(({ ErrorEquals }) => ErrorEquals.includes(error));
}

/** Seconds before the attempt of this number, counted from 0, at most; full jitter takes half of it on average. */
export function longestDelay(
  { IntervalSeconds, BackoffRate, MaxDelaySeconds }: Retrier,
  attempt: number,
): number {
  return Math.min(IntervalSeconds * BackoffRate ** attempt, MaxDelaySeconds ?? Number.POSITIVE_INFINITY);
}

/** Seconds that a retrier rides out, on average: full jitter takes half of each delay. */
export function patience(retrier: Retrier | undefined): number {
  return retrier
    ? Array.from({ length: retrier.MaxAttempts }, (_, attempt) => longestDelay(retrier, attempt) / 2).reduce(
        (sum, delay) => sum + delay,
        0,
      )
    : 0;
}
