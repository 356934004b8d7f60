/** What a deployment does beside creating resources. */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { LambdaError } from '../lambda-runtime.ts';
import { LocalError } from '../local-error.ts';
import type { Assembly } from '../synthesis.ts';
import type { ResolvedTemplate } from '../template.ts';
import { together } from './setup.ts';

/**
 * Calls the functions that a deployment calls (the triggers module of the CDK), each after those that it depends on, where
 * another version of them was called the last time.
 *
 * @throws LocalError `DeploymentError`
 */
export async function runTriggers(
  stack: ResolvedTemplate,
  { template }: Assembly,
  doneFile: string,
  call: (name: string, functionArn: string) => Promise<void>,
): Promise<void> {
  const done = existsSync(doneFile)
    ? (JSON.parse(readFileSync(doneFile, 'utf8')) as Record<string, string>)
    : {};
  const triggers = new Map(stack.resources('Custom::Trigger').map((trigger) => [trigger.logicalId, trigger]));
  const runs = new Map<string, Promise<void>>();

  function runOnce(logicalId: string): Promise<void> {
    const run = runs.get(logicalId) ?? runAfterOthers(logicalId);
    runs.set(logicalId, run);
    return run;
  }

  async function runAfterOthers(logicalId: string): Promise<void> {
    const trigger = triggers.get(logicalId);
    if (!trigger) {
      return;
    }
    const { DependsOn = [], Properties } = template.Resources[logicalId]!;
    await Promise.all([DependsOn].flat().map(runOnce));
    // The logical id of a function's version holds a hash of its code and configuration.
    const { Ref: version } = Properties!.HandlerArn as { Ref: string };
    if (done[logicalId] === version) {
      return;
    }
    try {
      await call('Calling what a deployment calls', trigger.get<string>('HandlerArn')!);
    } catch (error) {
      const { name, message } = error as LambdaError;
      throw new LocalError('DeploymentError', `${trigger.logicalId} failed: ${name} ${message}`);
    }
    done[logicalId] = version;
    writeFileSync(`${doneFile}.new`, JSON.stringify(done));
    renameSync(`${doneFile}.new`, doneFile);
  }

  await together(...[...triggers.keys()].map(runOnce));
}
