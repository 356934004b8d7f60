import { CfnResource, RemovalPolicy, type Stack } from 'aws-cdk-lib';
import { CfnFunction } from 'aws-cdk-lib/aws-lambda';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import type { RollcallConfig } from '../config/config.ts';

/**
 * Gives the functions behind CDK's custom resources a log group that expires and goes with the stack: Lambda itself would
 * make one for each that does neither. To be called when all of them are there.
 */
export function keepProviderLogs(stack: Stack, { logRetentionDays }: RollcallConfig): void {
  for (const resource of stack.node.findAll()) {
    // CDK makes them as bare resources, and its own functions as those of a type.
    const isProvider =
      CfnResource.isCfnResource(resource) &&
      resource.cfnResourceType === CfnFunction.CFN_RESOURCE_TYPE_NAME &&
      !(resource instanceof CfnFunction);
    if (isProvider) {
      const logGroup = new LogGroup(resource, 'Logs', {
        retention: logRetentionDays,
        removalPolicy: RemovalPolicy.DESTROY,
      });
      resource.addPropertyOverride('LoggingConfig', { LogGroup: logGroup.logGroupName });
    }
  }
}
