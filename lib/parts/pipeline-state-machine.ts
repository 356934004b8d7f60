import path from 'node:path';
import { Aws, Fn } from 'aws-cdk-lib';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { DefinitionBody, LogLevel, StateMachine, StateMachineType } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { RollcallConfig } from '../config/config.ts';
import { removalPolicy } from '../config/removal.ts';
import { acknowledge } from './acknowledge.ts';
import { PROJECT_ROOT } from './bundle.ts';
import { deploymentName } from './deployment-name.ts';

interface PipelineStateMachineProps {
  readonly config: RollcallConfig;
  /** File in `state-machines/`. */
  readonly definition: string;
  /** For the placeholders in the definition. */
  readonly substitutions: Record<string, string>;
}

/**
 * A name below the prefix that one entry in the account's resource policy for log delivery covers as a whole: without it,
 * each log group takes of that policy's 5,120 characters. The last part is the stack's own id, so that a stack that is made
 * again does not meet the log group that an earlier one left.
 * https://docs.aws.amazon.com/step-functions/latest/dg/bp-cwl.html
 */
function vendedLogGroupName(scope: Construct, definition: string): string {
  const uniqueId = Fn.select(2, Fn.split('/', Aws.STACK_ID));
  const name = path.basename(definition, '.asl.json');
  return `/aws/vendedlogs/states/${deploymentName(scope)}/${name}/${uniqueId}`;
}

/** A state machine out of a file, with what all of them have: errors in a log of their own, no payload in it. */
export class PipelineStateMachine extends StateMachine {
  constructor(
    scope: Construct,
    id: string,
    { config, definition, substitutions }: PipelineStateMachineProps,
  ) {
    super(scope, id, {
      stateMachineType: StateMachineType.STANDARD,
      definitionBody: DefinitionBody.fromFile(path.join(PROJECT_ROOT, 'state-machines', definition)),
      definitionSubstitutions: substitutions,
      logs: {
        destination: new LogGroup(scope, `${id}Logs`, {
          logGroupName: vendedLogGroupName(scope, definition),
          retention: config.logRetentionDays,
          removalPolicy: removalPolicy(config),
        }),
        level: LogLevel.ERROR,
        includeExecutionData: false,
      },
      tracingEnabled: config.tracing,
    });
    acknowledge(
      this,
      'Every step of every photo would be logged; the console shows the same history for 90 days, and failures are logged',
      'AwsSolutions-SF1',
    );
    if (!config.tracing) {
      acknowledge(
        this,
        'An option, off by default for its price',
        'AwsSolutions-SF2',
        'Serverless-StepFunctionStateMachineXray',
      );
    }
    acknowledge(
      this.role,
      'Log delivery and X-Ray know no resource: https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html',
      'AwsSolutions-IAM5[Resource::*]',
    );
  }
}
