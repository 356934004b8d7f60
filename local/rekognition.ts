/** `npm run local:rekognition`: the local Rekognition by itself, for any client of the AWS SDK, until Ctrl-C. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { runCommand } from '../cli/command.ts';
import { watchInterruption } from '../cli/interruption.ts';
import { exitCodes, UserError } from '../cli/user-error.ts';
import { fromWorkingDirectory } from '../cli/working-directory.ts';
import { parseRekognitionArguments, type RekognitionArguments, rekognitionUsage } from './cli/arguments.ts';
import { localClientOptions } from './clients.ts';
import { startRekognition } from './rekognition/server.ts';
import { takeStateFolder } from './state-folder.ts';

/** How long reading one object may take. */
const READ_LIMIT_MS = 30_000;

await runCommand({ usage: () => rekognitionUsage, what: 'The local Rekognition', run: serve });

async function serve(argv: readonly string[]): Promise<number> {
  const args = parseRekognitionArguments(argv);
  const { signal, happened } = watchInterruption(() => {});
  const data = takeDataFolder(args.data && fromWorkingDirectory(args.data, process.env));
  const images = imagesFrom(args, process.env);
  try {
    const server = await startRekognition({
      dataDir: data.folder,
      port: args.port,
      region: args.region,
      getObject: images.getObject,
    }).catch((error: Error) => {
      throw new UserError(`${error.message}. Choose another with --port or --data.`, exitCodes.incomplete);
    });
    process.stdout.write(directions(args, server.endpoint, data.kept));
    await happened;
    await server.close();
  } finally {
    images.close();
    data.release();
  }
  // Ctrl-C is how this command is meant to end.
  return signal.reason === exitCodes.interrupted ? exitCodes.done : (signal.reason as number);
}

/** The folder of the collections, for this process alone: one that is given, or one that is gone with the process. */
function takeDataFolder(given: string | undefined): { folder: string; kept: boolean; release(): void } {
  if (given === undefined) {
    const folder = mkdtempSync(join(tmpdir(), 'rekognition-'));
    return { folder, kept: false, release: () => rmSync(folder, { recursive: true, force: true }) };
  }
  // In the state of a local run the lock is that of the whole.
  const state = dirname(given);
  return {
    folder: given,
    kept: true,
    release: takeStateFolder(existsSync(join(state, 'layout-version')) ? state : given),
  };
}

/** Reads images out of an S3 endpoint; without one there is no object, as where the bucket is not there. */
function imagesFrom({ s3Endpoint, region }: RekognitionArguments, env: NodeJS.ProcessEnv) {
  if (s3Endpoint === undefined) {
    const missing = Object.assign(new Error('There is no S3 endpoint'), { name: 'NoSuchBucket' });
    return { getObject: () => Promise.reject(missing), close() {} };
  }
  const s3 = new S3Client({
    region,
    endpoint: s3Endpoint,
    forcePathStyle: true,
    ...(env.AWS_ACCESS_KEY_ID === undefined && { credentials: localClientOptions.credentials }),
  });
  return {
    async getObject(bucket: string, key: string, version?: string): Promise<Buffer> {
      try {
        const { Body } = await s3.send(
          new GetObjectCommand({ Bucket: bucket, Key: key, VersionId: version }),
          { abortSignal: AbortSignal.timeout(READ_LIMIT_MS) },
        );
        return Buffer.from(await Body!.transformToByteArray());
      } catch (error) {
        const { message, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
        // The client of Rekognition only hears of an internal error.
        if (($metadata?.httpStatusCode ?? 0) < 400) {
          process.stderr.write(`S3 at ${s3Endpoint} does not answer: ${message}\n`);
        }
        throw error;
      }
    },
    close: () => s3.destroy(),
  };
}

function directions(
  { region, data, s3Endpoint }: RekognitionArguments,
  endpoint: string,
  kept: boolean,
): string {
  const aws = `aws rekognition --region ${region} --endpoint-url ${endpoint}`;
  return `
  Rekognition  ${endpoint} (${region})
  Collections  ${kept ? data : 'kept until it ends; --data FOLDER keeps them longer'}
  Images       ${s3Endpoint === undefined ? 'as bytes; --s3-endpoint URL for those in a bucket' : `as bytes, or out of ${s3Endpoint}`}

  Any credentials do:
    export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local
    ${aws} create-collection --collection-id try
    ${aws} index-faces --collection-id try --image-bytes fileb://PHOTO.jpg

  Ctrl-C stops it.
`;
}
