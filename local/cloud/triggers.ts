/** What a deployment does beside creating resources. */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { LambdaError } from '../lambda-runtime.ts';
import { LocalError } from '../local-error.ts';
import type { Assembly } from '../synthesis.ts';
import type { ResolvedTemplate } from '../template.ts';

/**
 * Calls the functions that a deployment calls (the triggers module of the CDK), in the order of their dependencies, where
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
  const visited = new Set<string>();

  async function run(logicalId: string): Promise<void> {
    const trigger = triggers.get(logicalId);
    if (!trigger || visited.has(logicalId)) {
      return;
    }
    visited.add(logicalId);
    const { DependsOn = [], Properties } = template.Resources[logicalId]!;
    for (const dependency of [DependsOn].flat()) {
      await run(dependency);
    }
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

  for (const logicalId of triggers.keys()) {
    await run(logicalId);
  }
}
