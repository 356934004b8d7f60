import { CfnResource, RemovalPolicy } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';
import type { RollcallConfig } from './config.ts';

/**
 * What becomes of a resource that holds data. CloudFormation rolls a failed first deployment back to nothing with both:
 * "RetainExceptOnCreate" keeps a resource from then on only.
 * https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html
 */
export function removalPolicy({ removal }: RollcallConfig): RemovalPolicy {
  return removal === 'retain' ? RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE : RemovalPolicy.DESTROY;
}

/** What a running cluster keeps from being deleted, and what it needs to stay reachable. */
const UNDER_A_DATABASE = new Set([
  'AWS::EC2::VPC',
  'AWS::EC2::Subnet',
  'AWS::EC2::SecurityGroup',
  'AWS::RDS::DBSubnetGroup',
  'AWS::RDS::DBInstance',
]);

/**
 * Does to what a database stands on, among these constructs and their parts, what is done to the database: the deletion of
 * a network that is in use would fail, and the stack's with it.
 */
export function staysWithDatabase(config: RollcallConfig, ...constructs: IConstruct[]): void {
  for (const resource of constructs.flatMap((construct) => construct.node.findAll())) {
    if (CfnResource.isCfnResource(resource) && UNDER_A_DATABASE.has(resource.cfnResourceType)) {
      resource.applyRemovalPolicy(removalPolicy(config));
    }
  }
}
