import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const root = resolve(import.meta.dirname, '../..');

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface Command {
  pid: number;
  ended: Promise<Ended>;
  /** Resolves as soon as stdout or stderr matches; rejects when the command ends without. */
  says(pattern: RegExp): Promise<RegExpExecArray>;
  signal(name: NodeJS.Signals): void;
  /** Closes this end of stdout, as `head` does when it has seen enough. */
  stopReading(): void;
  /** Ends the command and whatever it has started, as the power going out would. */
  killTree(): Promise<number[]>;
}

/** Runs `local/{script}.ts` as its npm script does. */
export function run(
  script: 'start' | 'up' | 'reset' | 'rekognition',
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Command {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(npm_|NODE_OPTIONS|FORCE_COLOR)/.test(name),
  );
  const child: ChildProcess = spawn(process.execPath, [`local/${script}.ts`, ...args], {
    cwd: root,
    env: { ...Object.fromEntries(inherited), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  const listeners = new Set<() => void>();
  const tell = (): void => {
    for (const listen of listeners) {
      listen();
    }
  };
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    tell();
  });
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    tell();
  });
  const ended = new Promise<Ended>((done) => {
    child.on('close', (code, signal) => done({ code, signal, stdout, stderr }));
  });
  return {
    pid: child.pid!,
    ended,
    says(pattern) {
      return new Promise((found, missed) => {
        const listen = (): void => {
          const match = pattern.exec(stdout) ?? pattern.exec(stderr);
          if (match) {
            listeners.delete(listen);
            found(match);
          }
        };
        listeners.add(listen);
        listen();
        void ended.then(() => missed(new Error(`It never said ${pattern}: ${stdout}${stderr}`)));
      });
    },
    signal: (name) => child.kill(name),
    stopReading: () => child.stdout!.destroy(),
    async killTree() {
      const pids = tree(child.pid!);
      for (const pid of pids) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // It went with its parent.
        }
      }
      await ended;
      return pids;
    },
  };
}

/** The process and all its descendants, parents first. */
export function tree(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const { pid: child, parent } of processes()) {
    children.set(parent, [...(children.get(parent) ?? []), child]);
  }
  const descend = (one: number): number[] => [one, ...(children.get(one) ?? []).flatMap(descend)];
  return descend(pid);
}

/** Which of the processes are still there, apart from those that only wait to be reaped. */
export async function survivors(pids: readonly number[], patienceMs = 2_000): Promise<string[]> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const alive = processes().filter(({ pid, state }) => pids.includes(pid) && !state.startsWith('Z'));
    if (alive.length === 0 || performance.now() > deadline) {
      return alive.map(({ pid, command }) => `${pid} ${command}`);
    }
    await sleep(50);
  }
}

function processes(): { pid: number; parent: number; state: string; command: string }[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,state=,command='], { encoding: 'utf8' }).split(
    '\n',
  );
  return lines.flatMap((line) => {
    const [, pid, parent, state, command] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    return pid ? [{ pid: Number(pid), parent: Number(parent), state: state!, command: command! }] : [];
  });
}
