/** `npm run check:licences`: what the deployed bundles contain, under which licence; fails when one asks for more than its text. */
import { bundledPackages } from '../lib/parts/bundled-packages.ts';

const packages = await bundledPackages();
for (const { name, version, licence, isPermissive } of packages) {
  console.log(`${isPermissive ? ' ' : '!'} ${licence.padEnd(14)} ${name} ${version}`);
}
const refused = packages.filter(({ isPermissive }) => !isPermissive);
if (refused.length > 0) {
  console.error(
    `The licences of ${refused.map(({ name }) => name).join(', ')} are not known to allow this: look at them.`,
  );
  process.exit(1);
}
