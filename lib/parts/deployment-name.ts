import { Stack } from 'aws-cdk-lib';
import type { Construct, IConstruct } from 'constructs';
import { outputPrefix } from '../../lambdas/shared/contract/names.ts';

/** In the construct tree, of a Rollcall and all below it. */
const CONTEXT_KEY = 'rollcall:deployment';

/** Names the deployment that this construct is the root of; to be called before anything is put into it. */
export function nameDeployment(root: Construct): void {
  root.node.setContext(CONTEXT_KEY, `${Stack.of(root).stackName}-${outputPrefix(root.node.id)}`);
}

/**
 * What everything that has to have a name of its own in an account begins with (alarms, dashboard, metrics' namespace): the stack's name
 * where the stack is Rollcall's alone, else with the construct's id behind it, so that two live in one stack.
 */
export function deploymentName(scope: IConstruct): string {
  return (scope.node.tryGetContext(CONTEXT_KEY) as string | undefined) ?? Stack.of(scope).stackName;
}
