import {
  type IConnectable,
  type IVpc,
  Peer,
  Port,
  SecurityGroup,
  type SubnetSelection,
} from 'aws-cdk-lib/aws-ec2';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import { environmentNames } from '../../lambdas/shared/contract/names.ts';
import type { FunctionNetwork, PipelineFunction } from '../parts/pipeline-function.ts';
import { type FaceDatabase, RDS_CERTIFICATES } from './face-database.ts';

/** A PostgreSQL 15 or newer in a VPC of yours: an RDS instance, an Aurora cluster, a proxy, or a server of your own. */
export interface VpcDatabaseProps {
  readonly vpc: IVpc;
  /**
   * Where the functions that use the database run: subnets from which S3 and Secrets Manager can be reached, by a NAT gateway or by
   * VPC endpoints.
   *
   * Default: the private subnets with a way out.
   */
  readonly vpcSubnets?: SubnetSelection;
  /** Lets the functions in, on PostgreSQL's port: the instance, cluster or proxy itself, or its security group. */
  readonly server: IConnectable;
  /** Default: 5432. */
  readonly port?: number;
  /**
   * JSON as RDS writes it, or `postgresql://user:password@host:port/database`. The user has to be allowed to create a schema. With a key
   * of yours, the key's policy has to let this account's IAM decide.
   */
  readonly secret: ISecret;
  /** The schema that everything of Rollcall's is in. Default: rollcall. */
  readonly schema?: string;
}

/** The database of a platform as Rollcall's functions see it: over TLS, by the user in a secret. */
export class VpcDatabase extends Construct implements FaceDatabase {
  readonly network: FunctionNetwork;
  readonly ready: Construct[];
  readonly outputs;
  readonly assets = [];
  private readonly secret: ISecret;
  private readonly schema: string;

  constructor(scope: Construct, id: string, { schema, ...props }: VpcDatabaseProps & { schema: string }) {
    super(scope, id);
    const { vpc, vpcSubnets = { subnets: vpc.privateSubnets }, server, port = 5432, secret } = props;
    const clients = new SecurityGroup(this, 'Clients', {
      vpc,
      description: 'Functions of Rollcall that use the database',
      allowAllOutbound: false,
    });
    clients.connections.allowTo(server, Port.tcp(port), 'PostgreSQL');
    // Their addresses have another name in each Region; who sends them through endpoints has groups of those to narrow it.
    clients.addEgressRule(Peer.anyIpv4(), Port.tcp(443), 'S3 and Secrets Manager');
    this.network = { vpc, vpcSubnets, securityGroups: [clients] };
    this.ready = [clients];
    this.secret = secret;
    this.schema = schema;
    this.outputs = {
      DatabaseSecretArn: { value: secret.secretArn, description: "Secret with the database's login" },
      DatabaseClientSecurityGroupId: {
        value: clients.securityGroupId,
        description: 'Security group from which the database can be reached',
      },
    };
  }

  environment(): Record<string, string> {
    return {
      [environmentNames.databaseAuth]: 'secret',
      [environmentNames.databaseSecretArn]: this.secret.secretArn,
      [environmentNames.databaseSchema]: this.schema,
      ...RDS_CERTIFICATES,
    };
  }

  grantLogin(fn: PipelineFunction): void {
    this.secret.grantRead(fn);
  }
}
