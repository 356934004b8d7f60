/** Worker processes that are as easily ended as a mutant hangs them. */
import { type ChildProcess, fork } from 'node:child_process';
import path from 'node:path';
import type { Trial, Verdict } from './worker.ts';

/** Every change leaves its modules behind in the process. */
const TRIALS_A_PROCESS = 150;

export type Outcome = Verdict | 'timeout' | 'died';

export interface Pool {
  /** What became of each, as it comes. */
  run<Each extends { trial: Trial; patienceMs: number }>(
    trials: Each[],
    onOutcome: (of: Each, outcome: Outcome) => void,
  ): Promise<void>;
}

function start(): Promise<ChildProcess> {
  const child = fork(path.join(import.meta.dirname, 'worker.ts'), [], {
    execArgv: [
      '--disable-warning=ExperimentalWarning',
      '--disable-warning=TimeoutNegativeWarning',
      '--expose-gc',
    ],
    stdio: ['ignore', 'ignore', process.env.ROLLCALL_DEBUG ? 'inherit' : 'ignore', 'ipc'],
  });
  return new Promise((resolve, reject) => {
    child.once('message', () => resolve(child));
    child.once('exit', () => reject(new Error('A worker did not start')));
  });
}

function ask(child: ChildProcess, trial: Trial, patienceMs: number): Promise<Outcome> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => end('timeout'), patienceMs);
    const onExit = () => end('died');
    const onMessage = (verdict: Verdict) => end(verdict);
    const end = (outcome: Outcome) => {
      clearTimeout(timer);
      child.off('exit', onExit).off('message', onMessage);
      resolve(outcome);
    };
    child.once('exit', onExit).once('message', onMessage);
    child.send(trial);
  });
}

export function poolOf(workers: number): Pool {
  return {
    async run(trials, onOutcome) {
      const left = [...trials];
      const work = async () => {
        let child: ChildProcess | undefined;
        for (let done = 0, next = left.shift(); next; next = left.shift()) {
          child ??= await start();
          const outcome = await ask(child, next.trial, next.patienceMs);
          onOutcome(next, outcome);
          if (typeof outcome === 'string' || ++done % TRIALS_A_PROCESS === 0) {
            child.kill('SIGKILL');
            child = undefined;
          }
        }
        child?.kill('SIGKILL');
      };
      await Promise.all(Array.from({ length: workers }, work));
    },
  };
}
