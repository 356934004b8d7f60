/** `npm run local:up`: keeps the local services up, to look at what they hold, until Ctrl-C. */
import { parseUpArguments } from './cli/arguments.ts';
import { runCommand } from './cli/command.ts';
import { readEvents } from './cli/database.ts';
import { renderServices } from './cli/directions.ts';
import { watchInterruption } from './cli/interruption.ts';
import { stateFolder } from './cli/paths.ts';
import { chooseProgress, painter } from './cli/terminal.ts';
import { exitCodes } from './cli/user-error.ts';

await runCommand(async () => {
  const { postgresPort } = parseUpArguments(process.argv.slice(2), process.env);
  const progress = chooseProgress();
  const { signal, happened } = watchInterruption(() => progress.stop());
  const { startCloud } = await import('./cloud.ts');
  const cloud = await startCloud({ stateDir: stateFolder(process.env), postgresPort, onStep: progress.step });
  try {
    progress.stop();
    if (!signal.aborted) {
      const events = await readEvents(cloud.databaseUrl);
      process.stdout.write(await renderServices(cloud, events, painter(process.stdout)));
      await happened;
    }
    progress.step('Stopping');
  } finally {
    await cloud.stop();
    progress.stop();
  }
  // Ctrl-C is how this command is meant to end.
  return signal.reason === exitCodes.interrupted ? exitCodes.done : (signal.reason as number);
});
