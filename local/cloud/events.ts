/** EventBridge: the bus, the rules of the stack and their schedules. */
import { appendFileSync } from 'node:fs';
import {
  type BusEvent,
  createEventRouter,
  type EventRouter,
  type Rule,
  type RuleTarget,
  ruleArn,
} from '../event-router.ts';
import type { LambdaFunction } from '../lambda-runtime.ts';
import { LocalError } from '../local-error.ts';
import type { Queues } from '../queues.ts';
import { type ScheduledRule, scheduledEvent, startClock } from '../schedules.ts';
import type { ResolvedTemplate } from '../template.ts';
import type { Machines } from './calls.ts';
import type { Between } from './contract.ts';
import type { Setup } from './setup.ts';

export interface Bus {
  publish(event: BusEvent): void;
  /** Gives events to this from now on. Those before are lost: nothing that sends any is there yet. */
  connect(router: { publish(event: BusEvent): void }): void;
}

/** S3 is there before the rules that its events match. */
export function createBus(between: Between): Bus {
  let publish = (_event: BusEvent) => {};
  return {
    publish: (event) => (between.event ? between.event(event, (other) => publish(other)) : publish(event)),
    connect(router) {
      ({ publish } = router);
    },
  };
}

export interface Schedules {
  rules: readonly ScheduledRule[];
  fire(rule: string, at: Date): void;
}

/** Sets off the rules that have a schedule, when they are due if the options say so. */
export function startSchedules(
  { options, onStop }: Setup,
  stack: ResolvedTemplate,
  router: EventRouter,
): Schedules {
  const rules = scheduledRules(stack);
  const fire = (rule: string, at: Date) => router.fire(rule, scheduledEvent(rule, at));
  if (options.schedules) {
    onStop('schedules', startClock(rules, fire, { scale: options.time?.schedules }).stop);
  }
  return { rules, fire };
}

function scheduledRules(stack: ResolvedTemplate): ScheduledRule[] {
  return stack
    .resources('AWS::Events::Rule')
    .filter(({ get }) => get('State') !== 'DISABLED' && get('ScheduleExpression') !== undefined)
    .map(({ local, get }) => ({ name: local.ref, expression: get<string>('ScheduleExpression')! }));
}

interface EventTargets {
  machines: Machines;
  /** By ARN. */
  functions: ReadonlyMap<string, LambdaFunction>;
  queues: Queues;
  /** Begins a call of a function. */
  call(fn: LambdaFunction, input: unknown): void;
}

/** The rules of the template; a target that cannot take its event has it sent to the dead-letter queue, and logged. */
export function createRouter(
  { inState }: Setup,
  stack: ResolvedTemplate,
  targets: EventTargets,
): EventRouter {
  const rules = stack
    .resources('AWS::Events::Rule')
    .filter(({ get }) => get('State') !== 'DISABLED')
    .map(
      ({ local, get }): Rule => ({
        name: local.ref,
        pattern: get('EventPattern'),
        targets: get<RuleTarget[]>('Targets') ?? [],
      }),
    );
  const arns = rules.flatMap(({ targets: ofRule }) => ofRule).map(({ Arn }) => Arn);
  const deliveries = new Map(arns.map((arn) => [arn, deliveryTo(arn, targets)]));
  return createEventRouter(
    rules,
    ({ Arn }, input) => deliveries.get(Arn)!(input),
    ({ rule, target, event, error }) => {
      appendFileSync(
        inState('logs', 'dead-letters.log'),
        `${new Date().toISOString()} ${rule.name}: ${error.message}\n`,
      );
      if (target.DeadLetterConfig) {
        // https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
        targets.queues.send(target.DeadLetterConfig.Arn, JSON.stringify(event), {
          RULE_ARN: ruleArn(rule.name),
          TARGET_ARN: target.Arn,
          ERROR_CODE: error.name,
          ERROR_MESSAGE: error.message,
        });
      }
    },
  );
}

/** @throws LocalError `UnsupportedTemplateError` */
function deliveryTo(
  arn: string,
  { machines, functions, queues, call }: EventTargets,
): (input: unknown) => void {
  const machine = machines.get(arn);
  if (machine) {
    return (input) => machine.start(input);
  }
  if (arn.startsWith('arn:aws:sqs:')) {
    return (input) => queues.send(arn, JSON.stringify(input));
  }
  const fn = functions.get(arn);
  if (fn) {
    return (input) => call(fn, input);
  }
  throw new LocalError('UnsupportedTemplateError', `The local run cannot deliver events to ${arn}.`);
}
