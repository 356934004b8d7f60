import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { App, Duration, Stack } from 'aws-cdk-lib';
import { generate } from 'selfsigned';
import { LONG_WORK, WORK_LIMIT_MS } from '../../lambdas/shared/database.ts';
import { parseConfig } from '../../lib/config.ts';
import { ExternalDatabase } from '../../lib/external-database.ts';
import { PipelineFunction } from '../../lib/pipeline-function.ts';
import { certificateAuthority } from '../support/certificate-authority.ts';
import { synthesise } from '../support/synth.ts';
import { synthesised } from '../support/synthesised.ts';
import { ReadableTemplate } from '../support/template.ts';

const SECRET = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbC123';
const LIB = path.join(import.meta.dirname, '../../lib');
const folder = mkdtempSync(path.join(tmpdir(), 'rollcall-authority-'));
afterAll(() => rmSync(folder, { recursive: true }));

const file = (name: string, content: string) => {
  writeFileSync(path.join(folder, name), content);
  return path.join(folder, name);
};

const authority = async () => (await certificateAuthority()).cert;

const context = (certificate: string) => ({
  rollcall: { database: 'external', databaseSecretArn: SECRET, databaseCaCertificate: certificate },
});

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

test('the authority’s certificate is the only one of every function that talks to the database', async () => {
  const certificate = file('Provider CA.crt', await authority());
  const functions = clients(new ReadableTemplate(synthesise({ context: context(certificate) }).toJSON()));
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
  const { assets } = new ExternalDatabase(SECRET, {
    databaseSchema: 'rollcall',
    databaseCaCertificate: certificate,
  });
  const app = new App({ outdir: path.join(folder, 'cdk.out') });
  const stack = new Stack(app, 'One');
  new PipelineFunction(stack, 'ListErasures', {
    config: parseConfig(),
    name: 'list-erasures',
    description: '',
    timeout: Duration.seconds(10),
    environment: {},
    assets: ['migrations', ...assets],
  });
  const assembly = app.synth();
  const bundle = readdirSync(assembly.directory).find((name) => name.startsWith('asset.'))!;
  expect(readFileSync(path.join(assembly.directory, bundle, 'Two.pem'), 'utf8')).toBe(
    readFileSync(certificate, 'utf8'),
  );
  // And with every function that has the environment: what the bundles hold is in no template.
  for (const name of readdirSync(LIB)) {
    const source = readFileSync(path.join(LIB, name), 'utf8');
    const count = (text: string) => source.split(text).length - 1;
    expect([name, count('database.assets')]).toEqual([name, count('database.environment(')]);
  }
});

test('what is no certificate of an authority is said before anything is deployed', async () => {
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
  for (const [certificate, why] of refused) {
    expect(() => synthesise({ context: context(certificate) })).toThrow(why);
  }
});

test.each([
  ['aurora', {}],
  ['external', { database: 'external', databaseSecretArn: SECRET }],
])('every function outlives its work with the database, with %s', (_, given) => {
  const functions = clients(synthesised(given));
  expect(functions.length).toBeGreaterThanOrEqual(9);
  for (const { name, properties } of functions) {
    const isLong = ['Schema/MigrateDatabase', 'Reconciliation/ReadRows'].includes(name);
    const { limitMs } = isLong ? LONG_WORK : { limitMs: WORK_LIMIT_MS };
    expect([name, Number(properties.Timeout) * 1_000 > limitMs]).toEqual([name, true]);
  }
});
