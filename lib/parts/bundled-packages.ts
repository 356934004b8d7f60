import { readFileSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { bundleOptions, handlerOf, lambdaNames, PROJECT_ROOT } from './bundle.ts';

/** Licences that ask for nothing but their text and the names in it, so that a bundle can be deployed and passed on. */
const PERMISSIVE = new Set([
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC0-1.0',
  'ISC',
  'MIT',
  'MIT-0',
  'Unlicense',
]);

export interface BundledPackage {
  name: string;
  version: string;
  /** SPDX expression, or what the package says. */
  licence: string;
  isPermissive: boolean;
}

/** Every package of which a deployed Lambda's bundle holds any code, and the one that brings the deployment's own helpers. */
export async function bundledPackages(): Promise<BundledPackage[]> {
  // One bundle of all of them has the same packages in it as one of each, in a third of the time.
  const contents = lambdaNames()
    .map((name, at) => `export * as _${at} from ${JSON.stringify(handlerOf(name))};`)
    .join('\n');
  const { metafile } = await build({
    ...bundleOptions([]),
    stdin: { contents, resolveDir: PROJECT_ROOT },
    sourcemap: false,
    metafile: true,
  });
  const folders = new Set(['node_modules/aws-cdk-lib']);
  for (const output of Object.values(metafile.outputs)) {
    for (const [input, { bytesInOutput }] of Object.entries(output.inputs)) {
      const folder = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1];
      if (folder && bytesInOutput > 0) {
        folders.add(folder);
      }
    }
  }
  return [...folders].map(readPackage).sort((a, b) => (a.name < b.name ? -1 : 1));
}

function readPackage(folder: string): BundledPackage {
  const { name, version, license } = JSON.parse(
    readFileSync(path.join(PROJECT_ROOT, folder, 'package.json'), 'utf8'),
  ) as { name: string; version: string; license?: string };
  const licence = license ?? 'none';
  return { name, version, licence, isPermissive: isPermissive(licence) };
}

/** https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/: of alternatives one is enough. */
export function isPermissive(licence: string): boolean {
  return licence
    .replaceAll(/[()]/g, '')
    .split(' OR ')
    .some((alternative) => alternative.split(' AND ').every((one) => PERMISSIVE.has(one.trim())));
}
