import type { ITable } from 'aws-cdk-lib/aws-dynamodb';
import {
  GatewayVpcEndpointAwsService,
  type IVpc,
  Peer,
  Port,
  SecurityGroup,
  SubnetType,
  Vpc,
} from 'aws-cdk-lib/aws-ec2';
import { AnyPrincipal, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import type { RollcallConfig } from '../config/config.ts';
import { staysWithDatabase } from '../config/removal.ts';
import { acknowledge } from '../parts/acknowledge.ts';

export interface IsolatedNetworkProps {
  readonly config: RollcallConfig;
  /** The buckets that can be read from inside. */
  readonly buckets: Pick<IBucket, 'bucketArn' | 'arnForObjects'>[];
  /** What can be written from inside, as ARNs with wildcards. */
  readonly writable: string[];
  /** The tables whose items can be read from inside, and written where they say so; without any there is no way to DynamoDB. */
  readonly tables: readonly { table: ITable; writable?: boolean }[];
}

/**
 * A network without a way out: two zones of isolated subnets and, free of charge, gateways to the stack's own buckets and
 * tables.
 *
 * It needs no NAT and no paid endpoint, because whoever talks to Postgres talks to nothing else but those.
 */
export class IsolatedNetwork extends Construct {
  readonly vpc: IVpc;
  readonly vpcSubnets = { subnetType: SubnetType.PRIVATE_ISOLATED };
  /** For functions that read a bucket. */
  readonly bucketClients: SecurityGroup;
  /** For functions that use a table. */
  readonly tableClients: SecurityGroup | undefined;

  constructor(scope: Construct, id: string, { config, buckets, writable, tables }: IsolatedNetworkProps) {
    super(scope, id);
    const vpc = new Vpc(this, 'Vpc', {
      // An Aurora cluster wants two zones; a third would only cost addresses.
      ...(config.availabilityZones ? { availabilityZones: [...config.availabilityZones] } : { maxAzs: 2 }),
      natGateways: 0,
      subnetConfiguration: [{ name: 'Isolated', subnetType: SubnetType.PRIVATE_ISOLATED, cidrMask: 24 }],
      // Nothing uses the default group, and emptying it takes a custom resource with a Lambda of its own.
      restrictDefaultSecurityGroup: false,
    });
    this.vpc = vpc as IVpc;
    staysWithDatabase(config, vpc);
    acknowledge(
      this.vpc,
      'There is no route out of the network or into it, so a flow log would only show the Lambdas talking to the database',
      'AwsSolutions-VPC7',
    );
    const s3 = this.vpc.addGatewayEndpoint('S3', { service: GatewayVpcEndpointAwsService.S3 });
    s3.addToPolicy(
      new PolicyStatement({
        principals: [new AnyPrincipal()],
        actions: ['s3:GetObject', 's3:ListBucket'],
        resources: buckets.flatMap((bucket) => [bucket.bucketArn, bucket.arnForObjects('*')]),
      }),
    );
    s3.addToPolicy(
      new PolicyStatement({
        principals: [new AnyPrincipal()],
        actions: ['s3:PutObject'],
        resources: writable,
      }),
    );
    this.bucketClients = new SecurityGroup(this, 'BucketClients', {
      vpc: this.vpc,
      description: 'Functions that read a bucket',
      allowAllOutbound: false,
    });
    // S3's addresses have another name in each Region, and no route leads anywhere else.
    this.bucketClients.addEgressRule(Peer.anyIpv4(), Port.tcp(443), 'S3 through the gateway endpoint');
    this.tableClients = tables.length > 0 ? this.wayTo(tables) : undefined;
  }

  private wayTo(tables: IsolatedNetworkProps['tables']): SecurityGroup {
    const dynamodb = this.vpc.addGatewayEndpoint('DynamoDB', {
      service: GatewayVpcEndpointAwsService.DYNAMODB,
    });
    for (const { table, writable = false } of tables) {
      dynamodb.addToPolicy(
        new PolicyStatement({
          principals: [new AnyPrincipal()],
          actions: ['dynamodb:GetItem', ...(writable ? ['dynamodb:UpdateItem'] : [])],
          resources: [table.tableArn],
        }),
      );
    }
    const clients = new SecurityGroup(this, 'TableClients', {
      vpc: this.vpc,
      description: 'Functions that read a table',
      allowAllOutbound: false,
    });
    clients.addEgressRule(Peer.anyIpv4(), Port.tcp(443), 'DynamoDB through the gateway endpoint');
    return clients;
  }
}
