import { type ChildProcess, fork } from 'node:child_process';
import path from 'node:path';

/** Starts a module of this folder as a process of its own and waits for the first thing it says. */
export async function startChild<Greeting>(
  module: string,
  options: unknown,
): Promise<{ child: ChildProcess; greeting: Greeting }> {
  const child = fork(path.join(import.meta.dirname, module), [JSON.stringify(options)], {
    serialization: 'advanced',
  });
  return { child, greeting: await answer<Greeting>(child) };
}

/** The next thing that a child says. */
export function answer<Answer>(child: ChildProcess): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null) => reject(new Error(`A process of the benchmark ended with ${code}`));
    child.once('exit', ended);
    child.once('message', (message) => {
      child.off('exit', ended);
      resolve(message as Answer);
    });
  });
}

export async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode === null) {
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.disconnect();
    await exited;
  }
}
