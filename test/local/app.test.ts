/** An app of somebody's in place of the project's own. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { appOf } from '../../local/app-folder.ts';
import { localClientOptions } from '../../local/clients.ts';
import { localResources } from '../../local/resources.ts';
import { rollcallOutputs } from '../../local/rollcall-outputs.ts';
import { attachedSecrets, startSecrets } from '../../local/secrets.ts';
import { databaseOf } from '../../local/stand-ins.ts';
import { resolveTemplate, type Template } from '../../local/template.ts';

const base = mkdtempSync(join(tmpdir(), 'rollcall-app-'));
afterAll(() => rmSync(base, { recursive: true, force: true }));

test('its outputs are those of its one Rollcall, by the names that commands know', () => {
  const own = { ReadsIndexFacesQuota: 'true', ApiUrl: 'http://localhost' };
  const theirs = { Site: 'x', FacesReadsIndexFacesQuota: 'true', FacesApiUrl: 'http://localhost' };
  expect([rollcallOutputs(own), rollcallOutputs(theirs)]).toEqual([own, own]);
  expect(() => rollcallOutputs({ Site: 'x' })).toThrow(/one Rollcall, and this has 0/);
  expect(() => rollcallOutputs({ ...own, ...theirs })).toThrow(/one Rollcall, and this has 2/);
});

test('a state stays that of its app', () => {
  const state = join(base, 'state');
  mkdirSync(state);
  expect(appOf(state, undefined)).toBeUndefined();
  expect(appOf(state, '/a')).toBe('/a');
  expect([appOf(state, '/a'), appOf(state, undefined)]).toEqual(['/a', '/a']);
  expect(() => appOf(state, '/b')).toThrow(/it is of \/a, not of \/b/);
  const own = join(base, 'own');
  mkdirSync(join(own, 'cdk.out'), { recursive: true });
  expect(() => appOf(own, '/a')).toThrow(/it is of Rollcall itself, not of \/a/);
});

describe('its RDS instance', () => {
  const template: Template = {
    Resources: {
      Postgres: {
        Type: 'AWS::RDS::DBInstance',
        Properties: { DBName: 'platform', MasterUsername: 'owner' },
      },
      Login: { Type: 'AWS::SecretsManager::Secret', Properties: {} },
      Other: { Type: 'AWS::SecretsManager::Secret', Properties: {} },
      Attached: {
        Type: 'AWS::SecretsManager::SecretTargetAttachment',
        Properties: { SecretId: { Ref: 'Login' }, TargetId: { Ref: 'Postgres' } },
      },
    },
  };
  const stack = resolveTemplate(
    'Platform',
    template,
    localResources('Platform', template, {
      queueUrl: (name) => name,
      database: { host: 'localhost', port: 25432 },
      httpApi: '',
    }),
  );
  const read = (Template: Template) =>
    databaseOf({ stackName: 'Platform', template: Template, isNew: false, assetPath: () => '' });

  test('is what PostgreSQL stands in for', () => {
    expect(read(template)).toMatchObject({ database: 'platform', master: 'owner', login: 'password' });
    expect(() => read({ Resources: {} })).toThrow(/This app has none/);
  });

  test('has its login in the secret that is attached to it, and in no other', async () => {
    const secrets = await startSecrets(
      attachedSecrets(stack, 'postgresql://owner:p%40ss@localhost:1/platform', {
        host: 'localhost',
        port: 25432,
      }),
    );
    const client = new SecretsManagerClient({ ...localClientOptions, endpoint: secrets.endpoint });
    try {
      const get = (name: string) =>
        client.send(new GetSecretValueCommand({ SecretId: String(stack.resolve({ Ref: name })) }));
      expect(JSON.parse((await get('Attached')).SecretString!)).toEqual({
        engine: 'postgres',
        host: 'localhost',
        port: 25432,
        username: 'owner',
        password: 'p@ss',
        dbname: 'platform',
      });
      await expect(get('Other')).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
    } finally {
      client.destroy();
      await secrets.stop();
    }
  });
});
