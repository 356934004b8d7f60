import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { runTriggers } from '../../local/cloud/triggers.ts';
import type { Assembly } from '../../local/synthesis.ts';
import { resolveTemplate } from '../../local/template.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'rollcall-triggers-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A trigger of the CDK, whose function has a version. */
const trigger = (name: string, DependsOn: string[] = []) => ({
  Type: 'Custom::Trigger',
  DependsOn,
  Properties: { HandlerArn: { Ref: `${name}Version` } },
});
const Resources = {
  Migrate: trigger('Migrate', ['Bootstrap', 'SomethingElse']),
  Bootstrap: trigger('Bootstrap'),
  ReadQuota: trigger('ReadQuota'),
  MigrateVersion: { Type: 'AWS::Lambda::Version' },
  BootstrapVersion: { Type: 'AWS::Lambda::Version' },
  ReadQuotaVersion: { Type: 'AWS::Lambda::Version' },
  SomethingElse: { Type: 'AWS::SNS::Topic' },
};
const template = { Resources } as unknown as Assembly['template'];
const stack = resolveTemplate('Stack', template, (logicalId) => ({
  ref: logicalId.replace(/Version$/, ''),
  attributes: {},
}));

test('each is called after those that it depends on, beside the others, and not again', async () => {
  const under = new Map<string, () => void>();
  const called: string[] = [];
  const call = (_: string, arn: string): Promise<void> => {
    called.push(arn);
    return new Promise((resolve) => under.set(arn, resolve));
  };
  const doneFile = path.join(folder, 'done.json');
  const running = runTriggers(stack, { template } as Assembly, doneFile, call);
  await new Promise(setImmediate);
  expect(called.sort()).toEqual(['Bootstrap', 'ReadQuota']);
  under.get('Bootstrap')!();
  await new Promise(setImmediate);
  expect(called).toContain('Migrate');
  under.get('Migrate')!();
  under.get('ReadQuota')!();
  await running;
  expect(called).toHaveLength(3);
  await runTriggers(stack, { template } as Assembly, doneFile, call);
  expect(called).toHaveLength(3);
});

test('what depends on a failed one is not called, and it is called again', async () => {
  const called: string[] = [];
  const doneFile = path.join(folder, 'failed.json');
  const run = (fails: boolean) =>
    runTriggers(stack, { template } as Assembly, doneFile, async (_, arn) => {
      called.push(arn);
      if (fails && arn === 'Bootstrap') {
        throw Object.assign(new Error('no connection'), { name: 'DatabaseUnavailable' });
      }
    });
  await expect(run(true)).rejects.toMatchObject({
    name: 'DeploymentError',
    message: 'Bootstrap failed: DatabaseUnavailable no connection',
  });
  expect(called.sort()).toEqual(['Bootstrap', 'ReadQuota']);
  await run(false);
  expect(called.slice(2)).toEqual(['Bootstrap', 'Migrate']);
});
