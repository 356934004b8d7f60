/** `npm start`: indexes the photos of a folder through the whole pipeline, on this machine. */

import { runCommand } from '../cli/command.ts';
import { type Interruption, watchInterruption } from '../cli/interruption.ts';
import { samplePhotos } from '../cli/sample-photos.ts';
import { shortPath } from '../cli/text.ts';
import { exitCodes, UserError } from '../cli/user-error.ts';
import { fromWorkingDirectory } from '../cli/working-directory.ts';
import { DEFAULT_EVENTS_FOLDER, setEventsFolder } from '../lambdas/shared/contract/photo-key.ts';
import { parseStartArguments, type StartArguments, startUsage } from './cli/arguments.ts';
import { readPhotos } from './cli/database.ts';
import { renderDirections } from './cli/directions.ts';
import { findPerson, readSelfie, renderFound } from './cli/find.ts';
import { eventIdOfFolder, listPhotos, type NotSent, type Photo } from './cli/photo-list.ts';
import { pipelineOf } from './cli/pipeline.ts';
import { type Progress, silent } from './cli/progress.ts';
import { whyHeld } from './cli/reasons.ts';
import {
  type Found,
  isComplete,
  type Report,
  renderJson,
  renderLegend,
  renderOthers,
  renderSummary,
  renderTable,
  reportRows,
} from './cli/report.ts';
import { resolveFolder, type Skipped, scanFolder } from './cli/scan.ts';
import { sendPhotos } from './cli/send.ts';
import { chooseProgress, painter } from './cli/terminal.ts';
import type { Cloud } from './cloud.ts';
import { configuredEventsFolder } from './synthesis.ts';
import { defaultPostgresPort, stateFolder } from './where.ts';

await runCommand({ usage: () => startUsage, what: 'The local run', run: start });

async function start(argv: readonly string[]): Promise<number> {
  const args = parseStartArguments(argv, process.env);
  setEventsFolder(configuredEventsFolder() ?? DEFAULT_EVENTS_FOLDER);
  const selfie = args.selfie === undefined ? undefined : readSelfie(args.selfie, process.env);
  const folder = await readFolder(args);
  const progress = args.json ? silent : chooseProgress();
  const interruption = watchInterruption(() => {
    progress.stop();
    process.stderr.write('Stopped at once; run the same command to go on.\n');
  });
  const stateDir = stateFolder(process.env);

  let cloud: Cloud | undefined;
  let done = 0;
  try {
    // Only now: what it stands on takes a second to load, and a mistake in the arguments is told at once.
    const { startCloud } = await import('./cloud.ts');
    cloud = await startCloud({
      stateDir,
      postgresPort: args.postgresPort,
      preparesFunctions: true,
      onStep: (text) => {
        // Whoever no longer wants it need not wait for all of it.
        interruption.signal.throwIfAborted();
        progress.step(text);
      },
    });
    const indexing = indexPhotos(cloud, folder, interruption, progress, (faceCount) => {
      done++;
      progress.done(faceCount);
    });
    const failure = cloud.failed.then((error) => {
      throw error;
    });
    const report = await Promise.race([indexing, failure]);
    if (report) {
      let found: Found | undefined;
      if (selfie) {
        progress.step('Finding the person');
        found = await findPerson(cloud, folder, selfie);
      }
      progress.step('Stopping');
      await cloud.stop();
      cloud = undefined;
      progress.stop();
      show(report, found, args, stateDir);
      return isComplete(report.rows) && (found?.isAnswered ?? true) ? exitCodes.done : exitCodes.incomplete;
    }
  } catch (error) {
    // A Ctrl-C at the terminal reaches PostgreSQL's own tools as well: what fails after it is not news.
    if (!interruption.signal.aborted) {
      throw error;
    }
  } finally {
    if (cloud) {
      progress.step('Stopping');
      await cloud.stop({ abort: true });
    }
    progress.stop();
  }
  process.stderr.write(
    `Stopped. ${done} of ${folder.photos.length} photos are done; run the same command to go on.\n`,
  );
  return interruption.signal.reason as number;
}

interface Folder {
  eventId: string;
  photos: Photo[];
  notSent: NotSent[];
  skipped: Skipped[];
}

async function readFolder({ folder, eventId }: StartArguments): Promise<Folder> {
  const samples = folder === undefined ? samplePhotos() : undefined;
  const root = await resolveFolder(samples?.folder ?? fromWorkingDirectory(folder!, process.env));
  const scan = await scanFolder(root);
  if (samples) {
    scan.pictures = scan.pictures.filter(({ file }) => samples.file.test(file));
    scan.skipped = [];
  }
  if (scan.pictures.length === 0 && scan.unreadable.length === 0) {
    const names = scan.skipped.filter(({ why }) => why !== 'hidden').map(({ file }) => file);
    const others = names.length > 0 ? ` (${renderOthers(names, 80)})` : '';
    throw new UserError(`There are no pictures in ${shortPath(root)}${others}.`);
  }
  const event = eventId ?? eventIdOfFolder(root);
  return { eventId: event, ...listPhotos(event, scan, eventIdOfFolder(root)), skipped: scan.skipped };
}

/** Returns undefined when it was interrupted. */
async function indexPhotos(
  cloud: Cloud,
  folder: Folder,
  { signal }: Interruption,
  progress: Progress,
  onDone: (faceCount: number) => void,
): Promise<Report | undefined> {
  const photoIds = folder.photos.map(({ photoId }) => photoId);
  if (signal.aborted) {
    return undefined;
  }
  const pipeline = pipelineOf(cloud);
  progress.start(folder.photos.length);
  const stored = await readPhotos(cloud.databaseUrl, photoIds);
  const watch = setInterval(() => progress.held(whyHeld(cloud.waitingAfter())), 1_000);
  const { sent, notSent } = await sendPhotos(folder.photos, stored, pipeline, signal, onDone).finally(() =>
    clearInterval(watch),
  );
  if (signal.aborted) {
    return undefined;
  }
  return {
    eventId: folder.eventId,
    databaseUrl: cloud.databaseUrl,
    rows: reportRows(sent, [...folder.notSent, ...notSent], await readPhotos(cloud.databaseUrl, photoIds)),
    skipped: folder.skipped,
    rekognitionCalls: cloud.rekognitionCalls('IndexFaces'),
    executions: cloud.executionsStarted(),
    elapsedMs: performance.now(),
  };
}

function show(
  report: Report,
  found: Found | undefined,
  { json, postgresPort }: StartArguments,
  stateDir: string,
): void {
  if (json) {
    process.stdout.write(`${renderJson(report, found)}\n`);
    return;
  }
  const paint = painter(process.stdout);
  const { columns } = process.stdout;
  const upCommand =
    postgresPort === defaultPostgresPort(process.env)
      ? 'npm run local:up'
      : `npm run local:up -- --postgres-port ${postgresPort}`;
  const legend = renderLegend(report.rows, paint);
  const parts = [
    renderTable(report.rows, report.skipped, paint, columns),
    ...(legend ? [legend] : []),
    renderSummary(report, paint, columns),
    ...(found ? [renderFound(found, paint, columns)] : []),
    renderDirections(report.eventId, report.databaseUrl, shortPath(stateDir), upCommand, paint),
  ];
  process.stdout.write(`\n${parts.join('\n')}\n`);
}
