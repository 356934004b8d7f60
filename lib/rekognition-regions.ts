import { Aws, CfnRule, Fn } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { ConfigurationError } from './config.ts';

/** https://docs.aws.amazon.com/general/latest/gr/rekognition.html: where there are face collections. */
const REGIONS = [
  'us-east-1',
  'us-east-2',
  'us-west-1',
  'us-west-2',
  'ca-central-1',
  'eu-central-1',
  'eu-south-2',
  'eu-west-1',
  'eu-west-2',
  'ap-northeast-1',
  'ap-northeast-2',
  'ap-south-1',
  'ap-southeast-1',
  'ap-southeast-2',
  'il-central-1',
  'us-gov-west-1',
];

const CHOICE = `Deploy to one of ${REGIONS.join(', ')}.`;

/**
 * Refuses a Region in which every photo would fail: now where it is known, else when CloudFormation is told to deploy there,
 * before it creates anything.
 *
 * @throws ConfigurationError
 */
export function requireRekognition(scope: Construct, likelyRegion: string | undefined): void {
  if (likelyRegion !== undefined && !REGIONS.includes(likelyRegion)) {
    throw new ConfigurationError(`Amazon Rekognition is not available in ${likelyRegion}. ${CHOICE}`);
  }
  new CfnRule(scope, 'RekognitionIsAvailable', {
    assertions: [
      {
        assert: Fn.conditionContains(REGIONS, Aws.REGION),
        assertDescription: `Amazon Rekognition is not available in this Region. ${CHOICE}`,
      },
    ],
  });
}
