/** The page as people have it: in a browser, on the whole local run. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { jest } from '@jest/globals';
import axe, { type AxeResults } from 'axe-core';
import { type Browser, chromium, type Page } from 'playwright-core';
import sharp from 'sharp';
import { type Cloud, startCloud } from '../../local/cloud.ts';
import { findChromium, NO_CHROMIUM } from '../../local/page/chromium.ts';
import { pageOf } from '../../local/page/server.ts';
import { freePort } from '../support/free-port.ts';
import { stories } from '../support/stories.ts';

jest.setTimeout(240_000);

const photos = resolve(import.meta.dirname, '../../docs/photos');
/** Somebody whom the other photos do not show. */
const stranger = join(import.meta.dirname, '../../node_modules/@vladmandic/face-api/demo/sample2.jpg');
const options = findChromium(process.env);
/** Where its pictures are kept, for whoever wants to look at them. */
const pictures = process.env.PAGE_PICTURES;
const WIDTHS = [360, 800, 1600];

const base = mkdtempSync(join(tmpdir(), 'rollcall-browser-'));
const folder = join(base, 'party');
let cloud: Cloud;
let browser: Browser;
let page: Page;
/** What no visit may have: errors in the console, and requests to anybody else. */
const errors: string[] = [];
const asked = new Set<string>();

const { it, all } = stories();
const suite = options ? describe : describe.skip;
if (!options) {
  process.stderr.write(`The page is not looked at. ${NO_CHROMIUM}\n`);
}

suite(`the page${options ? '' : ` (skipped: ${NO_CHROMIUM})`}`, () => {
  beforeAll(async () => {
    mkdirSync(join(folder, 'evening'), { recursive: true });
    for (const [from, to] of [
      ['biden-2.jpg', 'biden.jpg'],
      ['obama-biden-2012.jpg', 'evening/Two of them #1.jpg'],
      ['astronaut.jpg', 'astronaut.jpg'],
    ] as const) {
      writeFileSync(join(folder, to), readFileSync(join(photos, from)));
    }
    writeFileSync(join(folder, 'notes.jpg'), 'these are words');
    await sharp(join(photos, 'biden-2.jpg')).resize(500).toFile(join(base, 'selfie.jpg'));
    writeFileSync(join(folder, '.hidden.jpg'), 'nobody sees this');
    cloud = await startCloud({ stateDir: join(base, 'state'), postgresPort: await freePort() });
    cloud.serveBeside(await pageOf(cloud));
    browser = await chromium.launch(options);
    page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    // A busy machine takes its time.
    page.setDefaultTimeout(120_000);
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') {
        errors.push(message.text());
      }
    });
    page.on('pageerror', (error) => errors.push(String(error)));
    page.on('request', (request) => asked.add(new URL(request.url()).origin));
    await page.goto(cloud.outputs.ApiUrl!);
  });
  afterAll(async () => {
    await browser?.close();
    await cloud?.stop({ abort: true });
    rmSync(base, { recursive: true, force: true });
  });

  const heading = () => page.locator('#result');
  const card = (name: string) => page.locator('.photos li', { hasText: name });

  const uploaded =
    it('a folder is uploaded, and its photos are seen to be indexed or to fail, each with its reason', async () => {
      await page.getByText('There is no event yet').waitFor();
      await page.getByLabel('Add photos').setInputFiles(folder);
      await page.getByText('Uploaded 4 of 4').waitFor();
      await card('notes.jpg').getByText('InvalidImageFormat').waitFor();
      await page.locator('.state.indexed').nth(2).waitFor();
      await page.getByText('No photo is waiting').waitFor();
      expect(await page.locator('.counters').innerText()).toMatch(/0\s*Processing|Processing\s*0/);
      expect(await card('notes.jpg').innerText()).toContain('The file itself is at fault.');
      expect(await page.locator('.photos .name').allInnerTexts()).toEqual(
        expect.arrayContaining(['party/biden.jpg', 'party/evening/Two of them #1.jpg']),
      );
      expect(await card('Two of them').locator('.face').count()).toBe(2);
    });

  it('only the failed ones are shown to whoever asks for them', async () => {
    await uploaded();
    await page.getByLabel('failed').check();
    expect(await page.locator('.photos .name').allInnerTexts()).toEqual(['party/notes.jpg']);
    await page.getByLabel('all').check();
  });

  it('a frame is where the face is', async () => {
    await uploaded();
    const frame = await card('astronaut.jpg').locator('.face').first().boundingBox();
    const image = await card('astronaut.jpg').locator('img').boundingBox();
    const centre = [
      (frame!.x + frame!.width / 2 - image!.x) / image!.width,
      (frame!.y + frame!.height / 2 - image!.y) / image!.height,
    ];
    // She looks at us from a little left of the middle, near the top.
    expect(centre[0]).toBeCloseTo(0.43, 1);
    expect(centre[1]).toBeCloseTo(0.22, 1);
  });

  it('a click on a face finds its person, and with the keyboard alone the way back', async () => {
    await uploaded();
    await card('biden.jpg').locator('.face').first().click();
    await heading().getByText('2 photos of this person').waitFor();
    expect(await page.locator('.photos .name').allInnerTexts()).toEqual([
      'party/biden.jpg',
      'party/evening/Two of them #1.jpg',
    ]);
    expect(await card('Two of them').locator('.face.matched').count()).toBe(1);
    await page.getByRole('button', { name: 'Show all photos' }).focus();
    await page.keyboard.press('Enter');
    await card('astronaut.jpg').waitFor();
  });

  it('a selfie finds its person, and shows which of its faces was searched with', async () => {
    await uploaded();
    await page.getByLabel('Find a person').setInputFiles(join(base, 'selfie.jpg'));
    await heading().getByText('2 photos of this person').waitFor();
    await page.getByText('the largest was searched for').waitFor();
    await page.locator('.preview .face').waitFor();
    await look('found');
  });

  it('the same by dropping it', async () => {
    await uploaded();
    const drop = await page.evaluateHandle(
      (bytes) => {
        // biome-ignore lint/suspicious/noExplicitAny: the browser's own names, which Node.js does not know
        const { DataTransfer, File: BrowserFile } = globalThis as any;
        const transfer = new DataTransfer();
        transfer.items.add(new BrowserFile([Uint8Array.from(bytes)], 'me.jpg', { type: 'image/jpeg' }));
        return transfer;
      },
      [...readFileSync(join(photos, 'astronaut.jpg'))],
    );
    await page.locator('.drop', { hasText: 'Find a person' }).dispatchEvent('drop', { dataTransfer: drop });
    await heading().getByText('1 photo of this person').waitFor();
    expect(await page.locator('.photos .name').allInnerTexts()).toEqual(['party/astronaut.jpg']);
  });

  it('whoever is on no photo is told so', async () => {
    await uploaded();
    await page.getByLabel('Find a person').setInputFiles(stranger);
    await page.getByText('No photo of the event shows this person.').waitFor();
    await page.getByRole('button', { name: 'Show all photos' }).click();
  });

  it('a click on a photo tells what its execution did, and Escape closes it', async () => {
    await uploaded();
    await card('notes.jpg')
      .getByRole('button', { name: /^What happened to/ })
      .click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('FAILED', { exact: true }).waitFor();
    const steps = await dialog.locator('.steps li').allInnerTexts();
    expect(steps.map((step) => step.split('\n')[0])).toEqual(
      expect.arrayContaining(['EnsureCollection', 'JoinLine', 'IndexFaces', 'MarkFailed']),
    );
    expect(steps.find((step) => step.startsWith('IndexFaces'))).toContain('InvalidImageFormat');
    await look('dialog');
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
    // Back to where one was.
    expect(await page.evaluate('document.activeElement.getAttribute("aria-label")')).toBe(
      'What happened to party/notes.jpg',
    );
  });

  test.each(['light', 'dark'] as const)(
    '%s: no serious problem for anybody, and nothing overlaps at any width',
    async (scheme) => {
      await uploaded();
      await page.emulateMedia({ colorScheme: scheme });
      await look(scheme);
    },
  );

  test('no error in the console, and no request to anybody else', async () => {
    await all();
    expect(errors).toEqual([]);
    expect([...asked].filter((origin) => origin !== cloud.outputs.ApiUrl && origin !== 'null')).toEqual([]);
  });

  /** At each width: nothing is wider than the window, no two neighbours overlap; and what axe thinks of it. */
  async function look(name: string): Promise<void> {
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: 900 });
      expect([name, width, await page.evaluate(OVERLAPS)]).toEqual([name, width, []]);
      if (pictures) {
        await page.screenshot({ path: join(pictures, `${name}-${width}.png`), fullPage: name !== 'dialog' });
      }
    }
    await page.setViewportSize({ width: 1280, height: 900 });
    // As the browser's own tools, which the page's policy does not hold up.
    await page.evaluate(axe.source);
    const { violations } = (await page.evaluate('axe.run()')) as AxeResults;
    const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
    expect(serious.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
  }
});

/** Runs in the page. Frames of faces lie over their pictures on purpose. */
const OVERLAPS = `(() => {
  const found = [];
  if (document.documentElement.scrollWidth > innerWidth) {
    found.push('the page is ' + document.documentElement.scrollWidth + ' wide');
  }
  const shown = (element) => element.getClientRects().length > 0;
  for (const parent of document.querySelectorAll('body *')) {
    if (!shown(parent) || parent.closest('.picture, .preview, select')) continue;
    const children = [...parent.children].filter((child) => shown(child) && child.tagName !== 'DIALOG');
    for (const [i, one] of children.entries()) {
      const a = one.getBoundingClientRect();
      if (a.right > innerWidth + 1) found.push(one.outerHTML.slice(0, 80) + ' reaches beyond');
      for (const other of children.slice(i + 1)) {
        const b = other.getBoundingClientRect();
        const x = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const y = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (x > 1 && y > 1 && getComputedStyle(one).display !== 'inline' && getComputedStyle(other).display !== 'inline') {
          found.push(one.outerHTML.slice(0, 80) + ' overlaps ' + other.outerHTML.slice(0, 80));
        }
      }
    }
  }
  return found;
})()`;
