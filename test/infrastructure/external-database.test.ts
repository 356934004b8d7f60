import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { generate } from 'selfsigned';
import { DATABASE_LIMIT } from '../../lambdas/read-gallery/read-gallery.ts';
import { LONG_WORK, WORK_LIMIT_MS } from '../../lambdas/shared/database/connection.ts';
import { certificateAuthority } from '../support/certificate-authority.ts';
import { configurations } from '../support/configurations.ts';
import { synthesised, synthesisedOnce } from '../support/synthesised.ts';
import type { ReadableTemplate } from '../support/template.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const LIB = path.join(ROOT, 'lib');
const folder = mkdtempSync(path.join(tmpdir(), 'rollcall-authority-'));
afterAll(() => rmSync(folder, { recursive: true }));

const file = (name: string, content: string) => {
  writeFileSync(path.join(folder, name), content);
  return path.join(folder, name);
};

const authority = async () => (await certificateAuthority()).cert;

const { cert: leaf, private: key } = await generate([{ name: 'commonName', value: 'db' }], {
  keyType: 'ec',
  algorithm: 'sha256',
  extensions: [{ name: 'basicConstraints', cA: false }],
});
const refused = [
  [path.join(folder, 'missing.pem'), 'cannot be read'],
  [file('empty.pem', ''), 'allowed is a file of certificates of authorities in PEM'],
  [file('key.pem', key), 'allowed is'],
  [file('leaf.pem', leaf), 'allowed is'],
  [file('broken.pem', (await authority()).replace(/\n(.)/, '\n!$1')), 'allowed is'],
  [file('second.pem', `${await authority()}\n${leaf}`), 'allowed is'],
] as const;

const certificates = [
  file('Provider CA.crt', await authority()),
  ...refused.map(([certificate]) => certificate),
];
const [accepted, ...refusals] = synthesisedOnce(
  certificates.map((databaseCaCertificate) => ({
    rollcall: { ...configurations.external, databaseCaCertificate },
  })),
);

/** The functions that talk to the database, with their environment. */
function clients(template: ReadableTemplate) {
  return Object.entries(template.resources('AWS::Lambda::Function')).flatMap(
    ([name, { Properties: properties }]) => {
      const { Variables: variables } = (properties.Environment ?? {}) as {
        Variables?: Record<string, string>;
      };
      return variables?.DATABASE_AUTH ? [{ name, variables, properties }] : [];
    },
  );
}

test('the authority’s certificate is the only one of every function that talks to the database', () => {
  const functions = clients(accepted!.template!);
  expect(functions.length).toBeGreaterThanOrEqual(9);
  for (const { variables } of functions) {
    expect(variables).toMatchObject({ DATABASE_AUTH: 'secret', DATABASE_CA_FILE: 'Provider CA.crt' });
    expect(variables).not.toHaveProperty('NODE_EXTRA_CA_CERTS');
  }
});

test('it travels beside the code', async () => {
  const certificate = file(
    'Two.pem',
    `# From the provider's page\n${await authority()}\n${await authority()}`,
  );
  const outdir = path.join(folder, 'cdk.out');
  execFileSync(process.execPath, ['test/support/one-function-process.ts', certificate, outdir], {
    cwd: ROOT,
    env: { PATH: process.env.PATH, CDK_VALIDATION: 'false' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const bundle = readdirSync(outdir).find((name) => name.startsWith('asset.'))!;
  expect(readFileSync(path.join(outdir, bundle, 'Two.pem'), 'utf8')).toBe(readFileSync(certificate, 'utf8'));
  // And with every function that has the environment: what the bundles hold is in no template.
  for (const name of readdirSync(LIB, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  )) {
    const source = readFileSync(path.join(LIB, name), 'utf8');
    const count = (text: string) => source.split(text).length - 1;
    expect([name, count('database.assets')]).toEqual([name, count('database.environment(')]);
  }
});

test('what is not a certificate of an authority is said before anything is deployed', () => {
  for (const [index, [certificate, why]] of refused.entries()) {
    expect([certificate, refusals[index]!.error]).toEqual([certificate, expect.stringContaining(why)]);
  }
});

test.each([
  ['aurora', {}],
  ['external', configurations.external],
])('every function outlives its work with the database, with %s', (_, given) => {
  const functions = clients(synthesised(given));
  expect(functions.length).toBeGreaterThanOrEqual(9);
  for (const { name, properties } of functions) {
    const isLong = ['Schema/MigrateDatabase', 'Reconciliation/ReadRows'].includes(name);
    const { limitMs } =
      name === 'Gallery/ReadGallery' ? DATABASE_LIMIT : isLong ? LONG_WORK : { limitMs: WORK_LIMIT_MS };
    expect([name, Number(properties.Timeout) * 1_000 > limitMs]).toEqual([name, true]);
  }
});
