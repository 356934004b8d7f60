import { Aws, Duration } from 'aws-cdk-lib';
import {
  AccountPrincipal,
  AnyPrincipal,
  Effect,
  PolicyStatement,
  type PolicyStatementProps,
} from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import {
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  type CfnBucket,
  type CorsRule,
  HttpMethods,
  type LifecycleRule,
} from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import type { RollcallConfig } from '../config/config.ts';
import { removalPolicy } from '../config/removal.ts';
import { acknowledge } from '../parts/acknowledge.ts';

interface PrivateBucketProps {
  readonly config: RollcallConfig;
  readonly versioned?: boolean;
  /** Default: S3's own. */
  readonly keyArn?: string | undefined;
  readonly lifecycleRules?: LifecycleRule[];
  readonly cors?: CorsRule[];
  /** Other accounts that may put objects into the events' folder, and nothing else. */
  readonly uploadAccounts?: readonly string[];
}

/** What uploading takes, in one part or in many: https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html */
const UPLOAD_ACTIONS = ['s3:PutObject', 's3:AbortMultipartUpload', 's3:ListMultipartUploadParts'];

/** A bucket that only principals of this account may use, and only over TLS. */
class PrivateBucket extends Bucket {
  constructor(
    scope: Construct,
    id: string,
    {
      config,
      versioned = false,
      keyArn,
      lifecycleRules = [],
      cors = [],
      uploadAccounts = [],
    }: PrivateBucketProps,
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
      ...(cors.length > 0 && { cors }),
      removalPolicy: removalPolicy(config),
      autoDeleteObjects: config.removal === 'destroy',
    });
    // Whatever a later statement allows: nobody of another account, and nobody without one.
    const everything = { actions: ['s3:*'], resources: [this.bucketArn, this.arnForObjects('*')] };
    this.denyUnlessOf([Aws.ACCOUNT_ID, ...uploadAccounts], everything);
    if (uploadAccounts.length > 0) {
      const photos = this.arnForObjects(`${config.eventsFolder}*`);
      this.denyUnlessOf([Aws.ACCOUNT_ID], { notActions: UPLOAD_ACTIONS, resources: everything.resources });
      this.denyUnlessOf([Aws.ACCOUNT_ID], { actions: UPLOAD_ACTIONS, notResources: [photos] });
      this.addToResourcePolicy(
        new PolicyStatement({
          principals: uploadAccounts.map((account) => new AccountPrincipal(account)),
          actions: UPLOAD_ACTIONS,
          resources: [photos],
        }),
      );
    }
    acknowledge(
      this,
      "Access logs would name every photo in yet another bucket; who needs them turns on CloudTrail's data events for the account",
      'AwsSolutions-S1',
    );
  }

  private denyUnlessOf(
    accounts: readonly string[],
    what: Pick<PolicyStatementProps, 'actions' | 'notActions' | 'resources' | 'notResources'>,
  ): void {
    this.addToResourcePolicy(
      new PolicyStatement({
        ...what,
        effect: Effect.DENY,
        principals: [new AnyPrincipal()],
        conditions: {
          StringNotEquals: { 'aws:PrincipalAccount': accounts.length === 1 ? accounts[0] : accounts },
          BoolIfExists: { 'aws:PrincipalIsAWSService': 'false' },
        },
      }),
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
      uploadAccounts: config.uploadAccounts,
      cors:
        config.uploadOrigins.length > 0
          ? [
              {
                allowedOrigins: [...config.uploadOrigins],
                allowedMethods: [HttpMethods.PUT, HttpMethods.POST],
                allowedHeaders: ['*'],
                // What a page needs to send a large file in parts.
                exposedHeaders: ['ETag'],
                maxAge: 3_600,
              },
            ]
          : [],
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
