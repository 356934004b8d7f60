import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** Of the kernel: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
const TICKS_A_SECOND = 100;

interface Usage {
  pid: number;
  parent: number;
  seconds: number;
}

/**
 * CPU seconds, user and system, that this process and all that it ever started have used: functions, PostgreSQL and its
 * connections, ended or not. Undefined where the kernel does not tell.
 */
export function cpuSeconds(): number | undefined {
  if (!existsSync('/proc/self/stat')) {
    return undefined;
  }
  const usages = readdirSync('/proc').flatMap((name): Usage[] => {
    try {
      return /^\d+$/.test(name) ? [usageOf(name)] : [];
    } catch {
      // It has just ended, and is counted by whoever waited for it.
      return [];
    }
  });
  const children = Map.groupBy(usages, ({ parent }) => parent);
  const sum = (pid: number): number =>
    (children.get(pid) ?? []).reduce((seconds, child) => seconds + child.seconds + sum(child.pid), 0);
  return usages.find(({ pid }) => pid === process.pid)!.seconds + sum(process.pid);
}

/** Its own, and that of those of its children that have ended. */
function usageOf(pid: string): Usage {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name of the program, in parentheses, may hold anything.
  const [, parent, , , , , , , , , , user, system, endedUser, endedSystem] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  return {
    pid: Number(pid),
    parent: parent!,
    seconds: (user! + system! + endedUser! + endedSystem!) / TICKS_A_SECOND,
  };
}
