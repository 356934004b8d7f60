/** Starts a cloud, uploads the sample photos, says when the first of them is done, and waits to be killed. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { startCloud } from '../../local/cloud.ts';

const [options, folder, ...keys] = process.argv.slice(2) as [string, string, ...string[]];
const cloud = await startCloud(JSON.parse(options));
cloud.onExecutionEnd(() => console.log('one ended'));
for (const key of keys) {
  const Body = readFileSync(join(folder, key.slice(key.lastIndexOf('/') + 1)));
  await cloud.s3.send(new PutObjectCommand({ Bucket: cloud.photoBucket, Key: key, Body }));
}
