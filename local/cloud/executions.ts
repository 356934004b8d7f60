/** What a cloud says and does of the executions of all its state machines. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Subscription } from '../queues.ts';
import type { ExecutionEnd, LocalStateMachine } from '../state-machine.ts';
import type { BackgroundCalls, Machines } from './calls.ts';
import type { Cloud } from './contract.ts';

export function executionsOf(machines: Machines, outputs: Cloud['outputs'], idle: () => Promise<void>) {
  const all = [...machines.values()];
  return {
    onExecutionEnd(listener) {
      const removers = all.map((machine) => machine.onEnd(listener));
      return () => {
        for (const remove of removers) {
          remove();
        }
      };
    },
    async startExecution(input, stateMachineArn = outputs.StateMachineArn!) {
      const machine = machines.get(stateMachineArn);
      if (!machine) {
        throw new Error(`There is no state machine ${stateMachineArn}`);
      }
      return machine.start(input);
    },
    abortExecution: (arn) => machineOf(machines, arn)?.abort(arn),
    timeOutExecution: (arn) => machineOf(machines, arn)?.timeOut(arn),
    describeExecution: (arn) => machineOf(machines, arn)?.describe(arn),
    executions: () => machines.get(outputs.StateMachineArn!)!.list(),
    async reconcile(at = new Date()) {
      const machine = machines.get(outputs.ReconcileStateMachineArn!)!;
      const { promise, resolve } = Promise.withResolvers<ExecutionEnd>();
      const stopListening = machine.onEnd(resolve);
      machine.start({ scope: 'all', as_of: at.toISOString() });
      const end = await promise;
      stopListening();
      await idle();
      return end;
    },
    executionsStarted: () => all.reduce((started, machine) => started + machine.started, 0),
    waitingAfter: () => machines.get(outputs.StateMachineArn!)!.waitingAfter(),
    unfinished: () => all.reduce((sum, machine) => sum + machine.unfinished, 0),
  } satisfies Partial<Cloud>;
}

function machineOf(machines: Machines, executionArn: string): LocalStateMachine | undefined {
  return machines.get(executionArn.replace(':execution:', ':stateMachine:').replace(/:[^:]+$/, ''));
}

/** Resolves when no execution is open, no call of a rule under way and no message of a queue at work. */
export async function untilIdle(
  machines: Machines,
  subscriptions: readonly Subscription[],
  background: BackgroundCalls,
): Promise<void> {
  const all = [...machines.values()];
  do {
    await Promise.all(all.map((machine) => machine.idle()));
    await background.settled();
    while (subscriptions.some((subscription) => !subscription.isIdle)) {
      await sleep(20);
    }
  } while (all.some((machine) => machine.isOpen));
}
