import { bundledPackages, isPermissive } from '../../lib/parts/bundled-packages.ts';

test('what is deployed may be passed on', async () => {
  const packages = await bundledPackages();
  const names = packages.map(({ name }) => name);
  expect(names).toEqual(
    expect.arrayContaining(['@aws-sdk/client-rekognition', 'aws-cdk-lib', 'postgres', 'umzug', 'valibot']),
  );
  expect(packages.filter((one) => !one.isPermissive)).toEqual([]);
  // A development dependency whose licence would not allow it.
  expect(names.filter((name) => name.startsWith('@cloud-copilot/'))).toEqual([]);
});

test.each([
  ['MIT', true],
  ['(MIT OR GPL-3.0-only)', true],
  ['MIT AND Apache-2.0', true],
  ['MIT AND AGPL-3.0-or-later', false],
  ['AGPL-3.0-or-later', false],
  ['SEE LICENSE IN LICENSE.txt', false],
  ['none', false],
])('%s: %s', (licence, allowed) => {
  expect(isPermissive(licence)).toBe(allowed);
});
