import { Aws, CfnRule, Fn } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { CHOICE, REKOGNITION_REGIONS } from './rekognition-regions.ts';

/** Has CloudFormation refuse a Region in which every photo would fail, before it creates anything. */
export function addRegionRule(scope: Construct): void {
  new CfnRule(scope, 'RekognitionIsAvailable', {
    assertions: [
      {
        assert: Fn.conditionContains(REKOGNITION_REGIONS, Aws.REGION),
        assertDescription: `Amazon Rekognition is not available in this Region. ${CHOICE}`,
      },
    ],
  });
}
