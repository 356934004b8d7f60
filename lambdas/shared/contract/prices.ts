/**
 * AWS's list prices, for the estimates: of the spend alarm, of the `usage` view and of the cost benchmark. An account's
 * own prices may be lower (free tiers, discounts, volume), hardly ever higher.
 *
 * This module imports nothing, so that `lib` can use it too.
 */

/** When the prices were last compared with AWS's pages, and for which Region. */
export const PRICES_OF = { date: '2026-11-22', region: 'us-east-1' } as const;

/** US dollars a unit, before any free tier. */
export const listPrices = {
  /** IndexFaces, the first million images a month; $0.0008, $0.0006 and $0.0004 after. https://aws.amazon.com/rekognition/pricing/ */
  rekognitionImage: 0.001,
  /** One face's vector in a collection, a month. */
  faceMonth: 0.00001,
  /** Standard workflows, retries included. https://aws.amazon.com/step-functions/pricing/ */
  stateTransition: 0.000025,
  /** https://aws.amazon.com/lambda/pricing/ */
  lambdaRequest: 0.0000002,
  /** Arm, the first 7.5 billion a month; the code that runs before the handler is billed too. */
  lambdaGigabyteSecond: 0.0000133334,
  /** On demand: up to 1 KB. https://aws.amazon.com/dynamodb/pricing/on-demand/ */
  dynamodbWriteUnit: 0.000000625,
  /** On demand: up to 4 KB, strongly consistent; half of it otherwise. */
  dynamodbReadUnit: 0.000000125,
  /** S3 Standard: PUT, COPY, POST, LIST. https://aws.amazon.com/s3/pricing/ */
  s3Write: 0.000005,
  /** S3 Standard: GET, HEAD and all others. */
  s3Read: 0.0000004,
  /** An event that S3 sends because the bucket asks for it, per 64 KB. https://aws.amazon.com/eventbridge/pricing/ */
  s3Event: 0.000001,
  /** CloudWatch Logs, to take a GB; keeping it is $0.03 a month. https://aws.amazon.com/cloudwatch/pricing/ */
  logGigabyte: 0.5,
  /** Aurora Serverless v2, a capacity unit for an hour; nothing while it is paused. https://aws.amazon.com/rds/aurora/pricing/ */
  auroraCapacityHour: 0.12,
  /** Aurora Standard storage. */
  auroraGigabyteMonth: 0.1,
  /** A custom metric that is sent to, a month; the first ten are free. */
  metricMonth: 0.3,
  /** A metric that an alarm watches, a month; the first ten are free. */
  alarmMetricMonth: 0.1,
  /** A dashboard, a month; the first three are free. */
  dashboardMonth: 3,
  /** A key of one's own in KMS, a month. https://aws.amazon.com/kms/pricing/ */
  kmsKeyMonth: 1,
  /** A secret, a month. https://aws.amazon.com/secrets-manager/pricing/ */
  secretMonth: 0.4,
  /** Standard queues, the second million a month on; the first is free. https://aws.amazon.com/sqs/pricing/ */
  sqsRequest: 0.0000004,
  /** HTTP APIs, the first 300 million a month. https://aws.amazon.com/api-gateway/pricing/ */
  httpApiRequest: 0.000001,
} as const;

/**
 * What one billed image costs with all that moves it through the pipeline, in US dollars: the spend alarm and the usage
 * records count by it. `npm run bench:cost` measures it (docs/cost.md) and fails when it is not enough.
 */
export const IMAGE_USD = 0.00115;

/**
 * What one search for a person costs, in US dollars: Rekognition's price of an image, about two seconds of both functions, four
 * writes of DynamoDB, and room for what is rounded up. A search by a face costs the same.
 */
export const SEARCH_USD = 0.00105;
