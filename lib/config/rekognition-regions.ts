import { ConfigurationError } from './config.ts';

/** https://docs.aws.amazon.com/general/latest/gr/rekognition.html: where there are face collections. */
export const REKOGNITION_REGIONS = [
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

export const CHOICE = `Deploy to one of ${REKOGNITION_REGIONS.join(', ')}.`;

/**
 * Refuses a Region in which every photo would fail.
 *
 * @param likelyRegion where the stack would be deployed, as far as it is known
 * @throws ConfigurationError
 */
export function requireRekognition(likelyRegion: string | undefined): void {
  if (likelyRegion !== undefined && !REKOGNITION_REGIONS.includes(likelyRegion)) {
    throw new ConfigurationError(`Amazon Rekognition is not available in ${likelyRegion}. ${CHOICE}`);
  }
}
