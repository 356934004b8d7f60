import { ArnFormat, type CfnElement, Stack } from 'aws-cdk-lib';
import type { StateMachine } from 'aws-cdk-lib/aws-stepfunctions';

/** The executions of a machine and those of its Map Runs, with the rule packs' findings for all of them. */
export function executionsOf(machine: StateMachine) {
  const logicalId = Stack.of(machine).getLogicalId(machine.node.defaultChild as CfnElement);
  const arn = (suffix: string) =>
    Stack.of(machine).formatArn({
      service: 'states',
      resource: 'execution',
      resourceName: `${machine.stateMachineName}${suffix}`,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
  const finding = (suffix: string) =>
    `AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:execution:<${logicalId}.Name>${suffix}]`;
  return {
    arn: arn(':*'),
    finding: finding(':*'),
    // A Map Run that is not labelled gets its label from Step Functions.
    batchesArn: arn('/*:*'),
    batchesFinding: finding('/*:*'),
  };
}
