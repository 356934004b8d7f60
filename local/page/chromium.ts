/** A Chromium of this machine, for what looks at the page as people do. */
import { accessSync, constants } from 'node:fs';
import { chromium, type LaunchOptions } from 'playwright-core';

const USUAL = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome-stable',
  '/usr/bin/google-chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

export const NO_CHROMIUM =
  'There is no Chromium here: install one (on Debian the package chromium), or name it in CHROMIUM_PATH.';

/** CHROMIUM_PATH, what `npx playwright-core install chromium` put there, or the system's; undefined where there is none. */
export function findChromium(env: Readonly<Record<string, string | undefined>>): LaunchOptions | undefined {
  const executablePath = env.CHROMIUM_PATH || [chromium.executablePath(), ...USUAL].find(isExecutable);
  // In a container everything is root's, for whom Chromium's own sandbox does not start.
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  return executablePath === undefined ? undefined : { executablePath, args };
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
