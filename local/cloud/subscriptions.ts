import type { Queues, Subscription } from '../queues.ts';
import type { ResolvedTemplate } from '../template.ts';
import type { Invoke } from './calls.ts';
import type { Setup } from './setup.ts';

/** Event source mappings: queues whose messages go to functions. */
export function subscribeFunctions(
  { onStop }: Setup,
  stack: ResolvedTemplate,
  queues: Queues,
  invoke: Invoke,
): Subscription[] {
  const functions = stack.resources('AWS::Lambda::Function').map(({ local }) => local);
  const subscriptions = stack
    .resources('AWS::Lambda::EventSourceMapping')
    .filter(({ get }) => get('Enabled') !== false)
    .map(({ get }) => {
      const name = get<string>('FunctionName')!;
      const fn = functions.find(({ ref, attributes }) => ref === name || attributes.Arn === name)!;
      return queues.subscribe({
        queueArn: get('EventSourceArn')!,
        batchSize: get('BatchSize') ?? 10,
        windowSeconds: get('MaximumBatchingWindowInSeconds') ?? 0,
        concurrency: get<{ MaximumConcurrency: number }>('ScalingConfig')?.MaximumConcurrency ?? 5,
        reportsFailures: get<string[]>('FunctionResponseTypes')?.includes('ReportBatchItemFailures') ?? false,
        invoke: (event) => invoke(fn.attributes.Arn as string, event),
      });
    });
  onStop('queues', () => {
    for (const subscription of subscriptions) {
      subscription.stop();
    }
  });
  return subscriptions;
}
