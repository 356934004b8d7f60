/** `npm run local:up`: keeps the local services up, to look at what they hold, until Ctrl-C. */

import { runCommand } from '../cli/command.ts';
import { watchInterruption } from '../cli/interruption.ts';
import { exitCodes } from '../cli/user-error.ts';
import { fromWorkingDirectory } from '../cli/working-directory.ts';
import { DEFAULT_EVENTS_FOLDER, setEventsFolder } from '../lambdas/shared/contract/photo-key.ts';
import { parseUpArguments, upUsage } from './cli/arguments.ts';
import { readEvents } from './cli/database.ts';
import { renderServices } from './cli/directions.ts';
import { chooseProgress, painter } from './cli/terminal.ts';
import type { Cloud } from './cloud.ts';
import { stateFolder } from './where.ts';

await runCommand({ usage: () => upUsage, what: 'The local run', run: up });

async function up(argv: readonly string[]): Promise<number> {
  const { postgresPort, ...given } = parseUpArguments(argv, process.env);
  const app = given.app === undefined ? undefined : fromWorkingDirectory(given.app, process.env);
  const progress = chooseProgress();
  const { signal, happened } = watchInterruption(() => progress.stop());
  const { startCloud } = await import('./cloud.ts');
  let cloud: Cloud | undefined;
  let isBroken = false;
  try {
    cloud = await startCloud({
      stateDir: stateFolder(process.env, app),
      postgresPort,
      ...(app !== undefined && { app }),
      // The same at each start, so that what was set up to use them goes on to.
      ports: { s3: postgresPort + 1, rekognition: postgresPort + 2, api: postgresPort + 3 },
      schedules: true,
      // Whoever only looks at the data has no use for the models.
      rekognition: { warmUp: false },
      onStep: (text) => {
        signal.throwIfAborted();
        progress.step(text);
      },
    });
    setEventsFolder(cloud.outputs.EventsFolder ?? DEFAULT_EVENTS_FOLDER);
    if (cloud.outputs.ApiUrl) {
      const { pageOf } = await import('./page/server.ts');
      cloud.serveBeside(await pageOf(cloud));
    }
    const events = await readEvents(cloud.databaseUrl);
    progress.stop();
    process.stdout.write(await renderServices(cloud, events, painter(process.stdout)));
    const failure = await Promise.race([happened, cloud.failed]);
    if (failure) {
      isBroken = true;
      throw failure;
    }
  } catch (error) {
    if (!signal.aborted) {
      throw error;
    }
  } finally {
    if (cloud) {
      progress.step('Stopping');
      // Functions at work would wait for a database that does not come back.
      await cloud.stop({ abort: isBroken });
    }
    progress.stop();
  }
  // Ctrl-C is how this command is meant to end.
  return signal.reason === exitCodes.interrupted ? exitCodes.done : (signal.reason as number);
}
