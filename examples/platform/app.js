/** A photo platform that has a bucket, a network and a PostgreSQL already, and puts Rollcall beside them. */
import { App, Stack } from 'aws-cdk-lib';
import { InstanceClass, InstanceSize, InstanceType, SubnetType, Vpc } from 'aws-cdk-lib/aws-ec2';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import { Code, Function as Lambda, Runtime } from 'aws-cdk-lib/aws-lambda';
import {
  Credentials,
  DatabaseInstance,
  DatabaseInstanceEngine,
  PostgresEngineVersion,
} from 'aws-cdk-lib/aws-rds';
import { BlockPublicAccess, Bucket } from 'aws-cdk-lib/aws-s3';
import { Rollcall } from 'rollcall';

class Platform extends Stack {
  constructor(scope, id) {
    super(scope, id);
    const bucket = new Bucket(this, 'Uploads', {
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      enforceSSL: true,
    });
    const vpc = new Vpc(this, 'Vpc', { maxAzs: 2, natGateways: 1 });
    const database = new DatabaseInstance(this, 'Postgres', {
      engine: DatabaseInstanceEngine.postgres({ version: PostgresEngineVersion.VER_17 }),
      instanceType: InstanceType.of(InstanceClass.T4G, InstanceSize.MICRO),
      vpc,
      vpcSubnets: { subnetType: SubnetType.PRIVATE_WITH_EGRESS },
      databaseName: 'platform',
      credentials: Credentials.fromGeneratedSecret('platform'),
      storageEncrypted: true,
    });

    const faces = new Rollcall(this, 'Faces', {
      photoBucket: bucket,
      eventsFolder: 'uploads/',
      database: { vpc, server: database, secret: database.secret },
      dailyImageCap: 20_000,
    });

    const notify = new Lambda(this, 'Notify', {
      runtime: Runtime.NODEJS_24_X,
      handler: 'index.handler',
      code: Code.fromAsset('notify'),
    });
    faces.onPhotoIndexed('Indexed', new LambdaFunction(notify));
    faces.onPhotoFailed('Failed', new LambdaFunction(notify));
  }
}

new Platform(new App(), 'Platform');
