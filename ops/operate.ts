/** What `npm run ops` does with its arguments. */
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { runCommand } from '../cli/command.ts';
import { watchInterruption } from '../cli/interruption.ts';
import { count, shortPath } from '../cli/text.ts';
import { exitCodes, UserError } from '../cli/user-error.ts';
import type { Cloud } from '../local/cloud.ts';
import { findRunning } from '../local/running-cloud.ts';
import { stateFolder } from '../local/where.ts';
import {
  type Arguments,
  type CommandName,
  looks,
  parseOpsArguments,
  startsWork,
  usage,
} from './arguments.ts';
import { withReadableErrors } from './aws-errors.ts';
import { backfill } from './commands/backfill.ts';
import { cap } from './commands/cap.ts';
import { cost } from './commands/cost.ts';
import { eraseEvent } from './commands/erase-event.ts';
import { erasePerson } from './commands/erase-person.ts';
import { erasures } from './commands/erasures.ts';
import { events } from './commands/events.ts';
import { failed } from './commands/failed.ts';
import { find } from './commands/find.ts';
import { pause, resume } from './commands/pause.ts';
import { photo } from './commands/photo.ts';
import { reconcile } from './commands/reconcile.ts';
import { replayDeadLetters } from './commands/replay-dead-letters.ts';
import { reprocess } from './commands/reprocess.ts';
import { smoke } from './commands/smoke.ts';
import { status } from './commands/status.ts';
import type { Context, Result } from './context.ts';
import { awsDeployment, type Deployment, localDeployment } from './deployment.ts';
import { holdOf } from './hold.ts';
import { readLedger } from './ledger.ts';
import { type Progress, progressOn, silent } from './progress.ts';
import { askPerson } from './question.ts';
import { type TimeLimit, timeLimit } from './time-limit.ts';

/** Those that need a stack; `doctor` is for before there is one. */
const run: Record<Exclude<CommandName, 'doctor'>, (context: Context) => Promise<Result>> = {
  status,
  events,
  photo,
  failed,
  find,
  reprocess,
  backfill,
  pause,
  resume,
  cost,
  cap,
  'erase-person': erasePerson,
  'erase-event': eraseEvent,
  erasures,
  'replay-dead-letters': replayDeadLetters,
  reconcile,
  smoke,
};

/** How long a command waits for another one that has the state folder, which takes a second or two, or for a run to be up. */
const FOLDER_PATIENCE_MS = 3_000;

await runCommand({ usage, what: 'The command', run: operate });

async function operate(argv: readonly string[]): Promise<number> {
  const args = parseOpsArguments(argv, process.env);
  const progress = args.json ? silent : progressOn(process.stderr);
  return withReadableErrors(async () => {
    const { command } = args;
    if (command === 'doctor') {
      // The clients of five more services, which no other command needs.
      const { doctor } = await import('./commands/doctor.ts');
      return tell(args, progress, () => doctor(args, progress, process.env));
    }
    return withDeployment(args, progress, (deployment, limit) =>
      tell(args, progress, () =>
        run[command]({
          args,
          deployment,
          progress,
          confirm: (question) => ask(question, args, () => progress.stop()),
          show(lines) {
            if (!args.json) {
              progress.stop();
              process.stderr.write(`${lines.join('\n')}\n`);
            }
          },
          now: Date.now,
          limit,
          columns: process.stdout.isTTY ? process.stdout.columns : undefined,
        }),
      ),
    );
  });
}

/** Prints what a command found out; resolves to its exit code. */
async function tell(args: Arguments, progress: Progress, command: () => Promise<Result>): Promise<number> {
  try {
    const { data, lines, exitCode } = await command();
    progress.stop();
    process.stdout.write(args.json ? `${JSON.stringify(data)}\n` : `${lines.join('\n')}\n`);
    return exitCode;
  } finally {
    progress.stop();
  }
}

type Work = (deployment: Deployment, limit: TimeLimit) => Promise<number>;

/** The stack in AWS; or the run of this machine. */
async function withDeployment(args: Arguments, progress: Progress, work: Work): Promise<number> {
  if (!args.local) {
    progress.step(`Looking for the stack ${args.stack}`);
    const limit = timeLimit();
    const deployment = awsDeployment(args.stack);
    return use(await (looks(args) ? limit.first(deployment, 'CloudFormation') : deployment), work, limit);
  }
  const stateDir = stateFolder(process.env);
  const running = findRunning(stateDir);
  if (running) {
    return use(localDeployment(running), work);
  }
  if (!existsSync(stateDir) && args.command !== 'smoke') {
    throw nothingStored(stateDir);
  }
  return startsWork(args)
    ? withStartedRun(args, stateDir, progress, work)
    : withStoredRun(args, stateDir, progress, work);
}

function nothingStored(stateDir: string): UserError {
  return new UserError(
    `There is no local run in ${shortPath(stateDir)} yet: npm start makes one.`,
    exitCodes.incomplete,
  );
}

/** To look at a local run that is not up, or to set what it goes by: nothing of it is started. */
async function withStoredRun(
  args: Arguments,
  stateDir: string,
  progress: Progress,
  work: Work,
): Promise<number> {
  const interruption = watchInterruption(() => progress.stop());
  const stopped = interruption.happened.then((): number => interruption.signal.reason as number);
  const [{ openStoredRun }, { answerFrom }] = await Promise.all([
    import('../local/stored-run.ts'),
    import('./stored-answers.ts'),
  ]);
  const deadline = performance.now() + FOLDER_PATIENCE_MS;
  for (;;) {
    try {
      const stored = await openStoredRun({
        stateDir,
        postgresPort: args.postgresPort,
        answer: (name, payload, { services }) => answerFrom(services, name, payload),
        onStep: (text) => progress.step(text),
      });
      if (!stored) {
        throw nothingStored(stateDir);
      }
      try {
        return await Promise.race([use(localDeployment(stored.services, stored.unfinished), work), stopped]);
      } finally {
        await stored.stop();
        progress.stop();
        tellUnfinished(args, stored.unfinished);
      }
    } catch (error) {
      if ((error as Error).name !== 'StateFolderInUseError' || performance.now() > deadline) {
        throw error;
      }
      await sleep(100);
      const running = findRunning(stateDir);
      if (running) {
        return use(localDeployment(running), work);
      }
    }
  }
}

function tellUnfinished(args: Arguments, left: number): void {
  if (left > 0 && args.command !== 'status' && !args.json) {
    process.stderr.write(
      `${count(left, 'execution')} ${left === 1 ? 'is' : 'are'} not done: npm run local:up goes on with ${left === 1 ? 'it' : 'them'}.\n`,
    );
  }
}

/**
 * A local run that is not up, for a command that starts work in it. Its services are there for as long as the command takes, and
 * work at nothing but what the command itself starts: what an earlier run left unfinished is for the next `npm start` or
 * `npm run local:up`.
 */
async function withStartedRun(
  args: Arguments,
  stateDir: string,
  progress: Progress,
  work: Work,
): Promise<number> {
  const interruption = watchInterruption(() => progress.stop());
  const { startCloud } = await import('../local/cloud.ts');
  const cloud = await startCloud({
    stateDir,
    postgresPort: args.postgresPort,
    work: 'new',
    onStep(text) {
      interruption.signal.throwIfAborted();
      progress.step(text);
    },
  });
  // The smoke test erases what it has sent before it gives up.
  const stopped =
    args.command === 'smoke'
      ? new Promise<never>(() => {})
      : interruption.happened.then((): number => interruption.signal.reason as number);
  const deployment = localDeployment(cloud.services, cloud.unfinished());
  try {
    const failure = cloud.failed.then((error) => {
      throw error;
    });
    const exitCode = await Promise.race([use(deployment, work), stopped, failure]);
    if (args.wait && !interruption.signal.aborted) {
      progress.step('Waiting for what was started');
      await Promise.race([untilDoneOrHeld(cloud, localDeployment(cloud.services)), stopped, failure]);
    }
    return interruption.signal.aborted ? (interruption.signal.reason as number) : exitCode;
  } finally {
    const left = cloud.unfinished();
    progress.step('Stopping');
    await cloud.stop({ abort: interruption.signal.aborted });
    progress.stop();
    tellUnfinished(args, left);
  }
}

/** Until all that was started has ended, or a pause or the day's cap holds what is left for hours. */
async function untilDoneOrHeld(cloud: Cloud, deployment: Deployment): Promise<void> {
  const idle = cloud.idle().then(() => true);
  try {
    while (!(await Promise.race([idle, sleep(500, false)]))) {
      if (holdOf(await readLedger(deployment))) {
        return;
      }
    }
  } finally {
    deployment.close();
  }
}

async function use(deployment: Deployment, work: Work, limit = timeLimit()): Promise<number> {
  try {
    return await work(deployment, limit);
  } finally {
    deployment.close();
  }
}

async function ask(question: string, { yes }: Arguments, before: () => void): Promise<boolean> {
  if (yes) {
    return true;
  }
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new UserError(
      `Nobody is here to answer: ${question} --yes goes ahead; --dry-run only says what would happen.`,
    );
  }
  before();
  return askPerson(question, process.stdin, process.stderr);
}
