import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { bundleOptions, PROJECT_ROOT } from '../../lib/parts/bundle.ts';
import { type Assembly, synthesise } from '../../local/synthesis.ts';

const run = promisify(execFile);
const MIGRATIONS = path.join(import.meta.dirname, '../../migrations');

let outdir: string;
let assembly: Assembly;

beforeAll(async () => {
  // As the local run does, which may have left it in the cache.
  outdir = await mkdtemp(path.join(tmpdir(), 'rollcall-synth-'));
  assembly = await synthesise({
    assembly: path.join(outdir, 'cdk.out'),
    log: path.join(outdir, 'synth.log'),
  });
}, 120_000);
afterAll(() => rm(outdir, { recursive: true, force: true }));

/** The function at a construct path, of which the logical id is made with a hash. */
function propertiesOf(name: string): Record<string, unknown> {
  const logicalId = new RegExp(`^${name.replaceAll('/', '')}[0-9A-F]{8}$`);
  const found = Object.entries(assembly.template.Resources).filter(
    ([id, { Type }]) => Type === 'AWS::Lambda::Function' && logicalId.test(id),
  );
  expect(found).toHaveLength(1);
  return found[0]![1].Properties!;
}

function bundle(name: string): string {
  const { S3Key: key } = propertiesOf(name).Code as { S3Key: string };
  return assembly.assetPath(key);
}

test.each([
  ['PhotoIndexing/EnsureCollection'],
  ['PhotoIndexing/JoinLine'],
  ['PhotoIndexing/IndexFaces'],
  ['PhotoIndexing/PersistResults'],
  ['PhotoIndexing/MarkFailed'],
  ['Erasure/RequestErasure'],
  ['Erasure/ListErasures'],
  ['Erasure/RemoveFaces'],
  ['Erasure/ConfirmErasure'],
  ['Schema/MigrateDatabase'],
  ['Database/BootstrapDatabase'],
])(
  '%s loads on its own, with its environment and nothing installed',
  async (name) => {
    const { Variables: variables } = propertiesOf(name).Environment as {
      Variables: Record<string, unknown>;
    };
    const environment = Object.entries(variables)
      // A file of the Lambda runtime.
      .filter(([key]) => key !== 'NODE_EXTRA_CA_CERTS')
      .map(([key, value]) => [key, typeof value === 'string' ? value : '5']);
    const file = path.join(bundle(name), 'index.mjs');
    const { stdout, stderr } = await run(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `console.log(typeof (await import(${JSON.stringify(file)})).handler,
          process.moduleLoadList.some((name) => name.includes('undici')) ? 'loads undici' : '')`,
      ],
      { env: { ...Object.fromEntries(environment), AWS_REGION: 'us-east-1' }, cwd: bundle(name) },
    );
    expect([stdout.trim(), stderr]).toEqual(['function', '']);
    // Every cold start reads it: a dependency that slips in shows here.
    expect((await stat(file)).size).toBeLessThan(1_000_000);
    await expect(
      readFile(`${file}.map`, 'utf8').then((map) => JSON.parse(map).sourcesContent),
    ).resolves.toBeUndefined();
  },
  30_000,
);

test('an error that nobody expected says where in the sources it comes from, whatever else there is in its stack', async () => {
  const core = path.join(outdir, 'core.ts');
  await writeFile(
    core,
    `import { lambdaHandler } from ${JSON.stringify(path.join(PROJECT_ROOT, 'lambdas/shared/runtime/telemetry.ts'))};

    function divide(photos: undefined): number {
      return (photos as unknown as string[]).length;
    }

    export const handler = lambdaHandler(async () => divide(undefined));
    `,
  );
  const { outputFiles } = await build({
    ...bundleOptions([]),
    entryPoints: [{ in: core, out: 'bundle/index' }],
    outdir,
  });
  await mkdir(path.join(outdir, 'bundle'));
  for (const file of outputFiles) {
    await writeFile(file.path, file.contents);
  }
  const script = `
    const { handler } = await import(${JSON.stringify(path.join(outdir, 'bundle/index.mjs'))});
    const stacks = () => handler({}, {}).catch(({ stack, cause }) => [stack, cause.stack]);
    console.log('first', JSON.stringify(await stacks()));`;
  const stacksOf = async () => {
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script]);
    return JSON.parse(/^first (.*)$/m.exec(stdout)![1]!) as string[];
  };
  const [own, cause] = await stacksOf();
  expect(own).toMatch(/^InternalError: TypeError: .*\n {4}at .*telemetry\.ts:\d+:\d+/);
  expect(cause).toMatch(/core\.ts:4:\d+\)?\n/);
  await rm(path.join(outdir, 'bundle/index.mjs.map'));
  expect((await stacksOf())[1]).toMatch(/index\.mjs:\d+:\d+/);
}, 30_000);

test('the migrations travel with the function that applies them', async () => {
  const copied = path.join(bundle('Schema/MigrateDatabase'), 'migrations');
  expect(await readdir(copied)).toEqual(await readdir(MIGRATIONS));
  for (const file of await readdir(MIGRATIONS)) {
    expect(await readFile(path.join(copied, file), 'utf8')).toBe(
      await readFile(path.join(MIGRATIONS, file), 'utf8'),
    );
  }
  expect(await readFile(path.join(bundle('Database/BootstrapDatabase'), 'bootstrap.sql'), 'utf8')).toBe(
    await readFile(path.join(MIGRATIONS, 'bootstrap.sql'), 'utf8'),
  );
});
