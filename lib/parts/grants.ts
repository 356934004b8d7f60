import { Stack } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { StateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import type { RollcallConfig } from '../config/config.ts';
import { acknowledge } from './acknowledge.ts';
import type { PipelineFunction } from './pipeline-function.ts';

/** Lets a function, or a state machine, do something to these resources. */
export function allow(to: PipelineFunction | StateMachine, actions: string[], ...resources: string[]): void {
  to.addToRolePolicy(new PolicyStatement({ actions, resources }));
}

/** Lets a function do something to the collections of this deployment's prefix, whatever event they are of. */
export function allowCollections(fn: PipelineFunction, config: RollcallConfig, actions: string[]): void {
  const collections = Stack.of(fn).formatArn({
    service: 'rekognition',
    resource: 'collection',
    resourceName: `${config.collectionPrefix}*`,
  });
  allow(fn, actions, collections);
  acknowledge(
    fn.role!,
    'One collection an event: only their prefix is known beforehand',
    `AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:rekognition:<AWS::Region>:<AWS::AccountId>:collection/${config.collectionPrefix}*]`,
  );
}
