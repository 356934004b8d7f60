import { count } from '../../cli/text.ts';
import type { Cloud } from '../cloud.ts';
import type { StoredEvent } from './database.ts';
import type { Paint } from './report.ts';

const GAP = '  ';

/** Which event it was, and where the data is after a run, and how to look at it: PostgreSQL goes with the command. */
export function renderDirections(
  eventId: string,
  databaseUrl: string,
  stateFolder: string,
  upCommand: string,
  paint: Paint,
): string {
  const line = (title: string, text: string): string => `${GAP}${paint('dim', title.padEnd(6))}${text}\n`;
  return (
    line('Event', eventId) +
    line('Data', stateFolder) +
    line('Look', `${upCommand} starts it again; then, in another terminal:`) +
    line('', `psql '${databaseUrl}'`)
  );
}

/** The services of a cloud that is up, what they hold, and a line to begin with for each. */
export async function renderServices(
  cloud: Pick<Cloud, 'databaseUrl' | 'photoBucket' | 's3' | 'rekognition' | 'outputs'>,
  events: readonly StoredEvent[],
  paint: Paint,
): Promise<string> {
  const s3 = await endpointOf(cloud.s3);
  const rekognition = await endpointOf(cloud.rekognition);
  const line = (title: string, text: string): string => `${GAP}${paint('dim', title.padEnd(13))}${text}\n`;
  const { ApiUrl: api } = cloud.outputs;
  const [latest] = events.filter(({ collection_id: id }) => id !== null);
  const find =
    latest &&
    `\n${GAP}Find a face:\n` +
      `${GAP}${GAP}export AWS_ACCESS_KEY_ID=LOCAL-operator AWS_SECRET_ACCESS_KEY=local\n` +
      `${GAP}${GAP}aws rekognition search-faces-by-image --region us-east-1 --endpoint-url ${rekognition} \\\n` +
      `${GAP}${GAP}  --collection-id ${latest.collection_id} --image-bytes fileb://PHOTO.jpg\n`;
  const look =
    api && events[0] && `\n${GAP}See what happened:\n${GAP}${GAP}curl ${api}/events/${events[0].id}/photos\n`;
  return [
    '\n',
    line('PostgreSQL', `psql '${cloud.databaseUrl}'`),
    line('S3', `${s3}, bucket ${cloud.photoBucket}`),
    line('Rekognition', rekognition),
    ...(api ? [line('API', `${api}, docs/openapi.json`), line('Page', `${api}/`)] : []),
    ...events.map(({ id, photos, faces }, i) =>
      line(i === 0 ? 'Events' : '', `${id}  ${count(photos, 'photo')}, ${count(faces, 'face')}`),
    ),
    look ?? '',
    find ?? '',
    `\n${GAP}Ctrl-C stops it.\n`,
  ].join('');
}

async function endpointOf(client: Pick<Cloud, 's3'>['s3'] | Cloud['rekognition']): Promise<string> {
  const endpoint = await client.config.endpoint?.();
  return endpoint
    ? `${endpoint.protocol}//${endpoint.hostname}${endpoint.port ? `:${endpoint.port}` : ''}`
    : '';
}
