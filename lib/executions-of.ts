import { ArnFormat, type CfnElement, Stack } from 'aws-cdk-lib';
import type { StateMachine } from 'aws-cdk-lib/aws-stepfunctions';

/** The executions of a machine, and the rule packs' finding for all of them. */
export function executionsOf(machine: StateMachine): { arn: string; finding: string } {
  const logicalId = Stack.of(machine).getLogicalId(machine.node.defaultChild as CfnElement);
  return {
    arn: Stack.of(machine).formatArn({
      service: 'states',
      resource: 'execution',
      resourceName: `${machine.stateMachineName}:*`,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    }),
    finding: `AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:execution:<${logicalId}.Name>:*]`,
  };
}
