import { CustomResource, Duration } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import { environmentNames } from '../../lambdas/shared/contract/names.ts';
import type { RollcallConfig } from '../config/config.ts';
import { acknowledge } from '../parts/acknowledge.ts';
import { allow, allowCollections } from '../parts/grants.ts';
import { PipelineFunction } from '../parts/pipeline-function.ts';

interface CollectionsRemovalProps {
  readonly config: RollcallConfig;
}

/** With `removal: destroy`: the collections go with the stack, although Rekognition and not CloudFormation has them. */
export class CollectionsRemoval extends Construct {
  constructor(scope: Construct, id: string, { config }: CollectionsRemovalProps) {
    super(scope, id);
    const fn = new PipelineFunction(this, 'DeleteCollections', {
      config,
      name: 'delete-collections',
      description: 'Deletes the collections of all events when their stack is deleted',
      // At five calls a second that is 4,000 of them; a stack that is deleted again goes on.
      timeout: Duration.minutes(15),
      environment: { [environmentNames.collectionPrefix]: config.collectionPrefix },
    });
    allow(fn, ['rekognition:ListCollections'], '*');
    allowCollections(fn, config, ['rekognition:DeleteCollection']);
    acknowledge(
      fn.role!,
      'ListCollections knows no resource: https://docs.aws.amazon.com/rekognition/latest/dg/security_iam_service-with-iam.html',
      'AwsSolutions-IAM5[Resource::*]',
    );
    // Without a prefix change nothing updates it; its deletion, before that of its function, is what it is there for.
    new CustomResource(this, 'Collections', {
      serviceToken: fn.functionArn,
      resourceType: 'Custom::RollcallCollections',
    });
  }
}
