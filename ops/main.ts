/** `npm run ops -- COMMAND`: the operator's way back, on AWS and on this machine. */
import { createInterface } from 'node:readline/promises';
import { runCommand } from '../local/cli/command.ts';
import { stateFolder } from '../local/cli/paths.ts';
import { exitCodes, UserError } from '../local/cli/user-error.ts';
import { findRunning } from '../local/running-cloud.ts';
import { type Arguments, type CommandName, parseOpsArguments, usage } from './arguments.ts';
import { withReadableErrors } from './aws-errors.ts';
import { backfill } from './commands/backfill.ts';
import { cap } from './commands/cap.ts';
import { cost } from './commands/cost.ts';
import { eraseEvent } from './commands/erase-event.ts';
import { erasePerson } from './commands/erase-person.ts';
import { erasures } from './commands/erasures.ts';
import { failed } from './commands/failed.ts';
import { pause, resume } from './commands/pause.ts';
import { reconcile } from './commands/reconcile.ts';
import { replayDeadLetters } from './commands/replay-dead-letters.ts';
import { reprocess } from './commands/reprocess.ts';
import { smoke } from './commands/smoke.ts';
import { status } from './commands/status.ts';
import type { Context, Result } from './context.ts';
import { awsDeployment, type Deployment, localDeployment } from './deployment.ts';
import { type Progress, progressOn, silent } from './progress.ts';

/** Those that need a stack; `doctor` is for before there is one. */
const run: Record<Exclude<CommandName, 'doctor'>, (context: Context) => Promise<Result>> = {
  status,
  failed,
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

await runCommand(async () => {
  const args = parseOpsArguments(process.argv.slice(2), process.env);
  if (!args) {
    process.stdout.write(usage());
    return exitCodes.done;
  }
  const progress = args.json ? silent : progressOn(process.stderr);
  return withReadableErrors(async () => {
    const { command } = args;
    if (command === 'doctor') {
      // The clients of five more services, which no other command needs.
      const { doctor } = await import('./commands/doctor.ts');
      return tell(args, progress, () => doctor(args, progress, process.env));
    }
    return withDeployment(args, progress.step, (deployment) =>
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
        }),
      ),
    );
  });
}, 'The command');

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

/** The stack in AWS; or the run of this machine, which is started for the command when none is up. */
async function withDeployment(
  args: Arguments,
  onStep: (text: string) => void,
  work: (deployment: Deployment) => Promise<number>,
): Promise<number> {
  if (!args.local) {
    onStep(`Looking for the stack ${args.stack}`);
    return use(await awsDeployment(args.stack), work);
  }
  const stateDir = stateFolder(process.env);
  const running = findRunning(stateDir);
  if (running) {
    return use(localDeployment(running), work);
  }
  const { startCloud } = await import('../local/cloud.ts');
  const cloud = await startCloud({ stateDir, postgresPort: args.postgresPort, onStep });
  try {
    const exitCode = await use(localDeployment(cloud.services), work);
    onStep('Stopping');
    // What was started goes on here, or not at all.
    await cloud.idle();
    return exitCode;
  } finally {
    await cloud.stop();
  }
}

async function use(
  deployment: Deployment,
  work: (deployment: Deployment) => Promise<number>,
): Promise<number> {
  try {
    return await work(deployment);
  } finally {
    deployment.close();
  }
}

async function ask(question: string, { yes }: Arguments, before: () => void): Promise<boolean> {
  if (yes) {
    return true;
  }
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new UserError(`${question} Say --yes, or --dry-run to only look.`);
  }
  before();
  const dialogue = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await dialogue.question(`${question} [y/N] `)).trim());
  } finally {
    dialogue.close();
  }
}
