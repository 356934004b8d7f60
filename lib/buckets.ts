import { Aws, Duration } from 'aws-cdk-lib';
import { AnyPrincipal, Effect, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import {
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  type CfnBucket,
  type LifecycleRule,
} from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';
import type { RollcallConfig } from './config.ts';
import { removalPolicy } from './removal.ts';

interface PrivateBucketProps {
  readonly config: RollcallConfig;
  readonly versioned?: boolean;
  /** Default: S3's own. */
  readonly keyArn?: string | undefined;
  readonly lifecycleRules?: LifecycleRule[];
}

/** A bucket that nobody reads but by a right of this account's, and over TLS. */
class PrivateBucket extends Bucket {
  constructor(
    scope: Construct,
    id: string,
    { config, versioned = false, keyArn, lifecycleRules = [] }: PrivateBucketProps,
  ) {
    super(scope, id, {
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      ...(keyArn === undefined
        ? { encryption: BucketEncryption.S3_MANAGED }
        : {
            encryption: BucketEncryption.KMS,
            encryptionKey: Key.fromKeyArn(scope, `${id}Key`, keyArn),
            // One call of KMS for many photos instead of one for each.
            bucketKeyEnabled: true,
          }),
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      versioned,
      // Parts of an upload that was given up are invisible, and paid for.
      lifecycleRules: [{ abortIncompleteMultipartUploadAfter: Duration.days(7) }, ...lifecycleRules],
      removalPolicy: removalPolicy(config),
      autoDeleteObjects: config.removal === 'destroy',
    });
    // Whatever a later statement allows: nobody of another account, and nobody without one.
    this.addToResourcePolicy(
      new PolicyStatement({
        effect: Effect.DENY,
        principals: [new AnyPrincipal()],
        actions: ['s3:*'],
        resources: [this.bucketArn, this.arnForObjects('*')],
        conditions: {
          StringNotEquals: { 'aws:PrincipalAccount': Aws.ACCOUNT_ID },
          BoolIfExists: { 'aws:PrincipalIsAWSService': 'false' },
        },
      }),
    );
    acknowledge(
      this,
      "Access logs would name every photo in yet another bucket; who needs them turns on CloudTrail's data events for the account",
      'AwsSolutions-S1',
    );
  }
}

interface PhotoBucketProps {
  readonly config: RollcallConfig;
}

/** Where the upload API puts photos; it tells EventBridge about every object. */
export class PhotoBucket extends PrivateBucket {
  constructor(scope: Construct, id: string, { config }: PhotoBucketProps) {
    super(scope, id, {
      config,
      versioned: config.photoBucketVersioned,
      keyArn: config.photoBucketKeyArn,
      lifecycleRules: config.photoBucketVersioned
        ? // Long enough to undo a mistake; a photographer who deletes a photo wants it gone.
          [{ noncurrentVersionExpiration: Duration.days(30), expiredObjectDeleteMarker: true }]
        : [],
    });
    // The L2 property would add a custom resource with a Lambda of its own.
    (this.node.defaultChild as CfnBucket).notificationConfiguration = {
      eventBridgeConfiguration: { eventBridgeEnabled: true },
    };
  }
}

interface ResultsBucketProps {
  readonly config: RollcallConfig;
}

/** Rekognition's whole responses, between index-faces and persist-results, and some days more; and reconciliations at work. */
export class ResultsBucket extends PrivateBucket {
  constructor(scope: Construct, id: string, { config }: ResultsBucketProps) {
    super(scope, id, {
      config,
      lifecycleRules: [
        { expiration: Duration.days(config.resultsRetentionDays) },
        // What a reconciliation has read, which it deletes itself unless it fails.
        { prefix: 'reconciliations/runs/', expiration: Duration.days(1) },
      ],
    });
  }
}
