/** `npm run docs:page`: takes the README's picture of the page, with the photos in docs/photos. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { chromium } from 'playwright-core';
import { runCommand } from '../../cli/command.ts';
import { exitCodes, UserError } from '../../cli/user-error.ts';
import { defaultPostgresPort } from '../where.ts';
import { findChromium, NO_CHROMIUM } from './chromium.ts';
import { sourceHash } from './source-hash.ts';

const DOCS = join(import.meta.dirname, '../../docs');
const EVENT = '6f0f7a54-9d6b-4f8e-8f0e-0c6f3f7d0c11';
/** In the picture the photos of this person are shown. */
const SELFIE = 'biden-2.jpg';

const usage =
  'Usage: npm run docs:page\n\nTakes the picture of the page in the README. It takes no arguments.\n';

await runCommand({ usage: () => usage, what: 'The picture', run: draw });

async function draw(): Promise<number> {
  const options = findChromium(process.env);
  if (!options) {
    throw new UserError(NO_CHROMIUM);
  }
  const { startCloud } = await import('../cloud.ts');
  const { pageOf } = await import('./server.ts');
  const stateDir = mkdtempSync(join(tmpdir(), 'rollcall-page-'));
  const cloud = await startCloud({ stateDir, postgresPort: defaultPostgresPort(process.env) });
  const browser = await chromium.launch(options);
  try {
    const photos = join(DOCS, 'photos');
    const files = new Map(
      readdirSync(photos)
        .filter((file) => file.endsWith('.jpg'))
        .map((file): [string, Buffer | string] => [file, readFileSync(join(photos, file))]),
    );
    // One that fails, in the first row.
    files.set('broken.jpg', 'these are words');
    for (const [name, Body] of files) {
      await cloud.s3.send(
        new PutObjectCommand({ Bucket: cloud.photoBucket, Key: `events/${EVENT}/${name}`, Body }),
      );
    }
    await cloud.idle();
    cloud.serveBeside(await pageOf(cloud));
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, colorScheme: 'light' });
    await page.goto(`${cloud.outputs.ApiUrl}/#event=${EVENT}`);
    await page.locator('.state.failed').waitFor();
    await page.locator('.photos img:not(.there)').first().waitFor({ state: 'detached' });
    await page.screenshot({ path: join(DOCS, 'page.jpg'), type: 'jpeg', quality: 80 });
    await page.setInputFiles('#selfie', join(photos, SELFIE));
    await page.locator('.similarity').first().waitFor();
    await page.locator('.photos img:not(.there)').first().waitFor({ state: 'detached' });
    await page.screenshot({ path: join(DOCS, 'page-find.jpg'), type: 'jpeg', quality: 80 });
    writeFileSync(join(DOCS, 'page.json'), `${JSON.stringify({ source: sourceHash() }, undefined, 2)}\n`);
    process.stdout.write('Took docs/page.jpg and docs/page-find.jpg\n');
  } finally {
    await browser.close();
    await cloud.stop({ abort: true });
    rmSync(stateDir, { recursive: true, force: true });
  }
  return exitCodes.done;
}
