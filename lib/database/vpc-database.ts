import {
  type IConnectable,
  type IVpc,
  Peer,
  Port,
  SecurityGroup,
  type SubnetSelection,
} from 'aws-cdk-lib/aws-ec2';
import type { DatabaseProxy, IDatabaseCluster, IDatabaseInstance } from 'aws-cdk-lib/aws-rds';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import { environmentNames } from '../../lambdas/shared/contract/names.ts';
import { ConfigurationError } from '../config/config.ts';
import type { FunctionNetwork, PipelineFunction } from '../parts/pipeline-function.ts';
import { type DatabaseUser, type FaceDatabase, RDS_CERTIFICATES } from './face-database.ts';

const POSTGRES_PORT = 5432;

/** A PostgreSQL 15 or newer in a VPC of yours: an RDS instance, an Aurora cluster, a proxy, or a server of your own. */
export type VpcDatabaseProps = VpcDatabaseBySecret | VpcDatabaseByIam;

interface VpcDatabasePlace {
  readonly vpc: IVpc;
  /**
   * Where the functions that use the database run: subnets from which S3 and DynamoDB can be reached, and Secrets Manager where there is a
   * secret, by a NAT gateway or by VPC endpoints.
   *
   * Default: the private subnets with a way out.
   */
  readonly vpcSubnets?: SubnetSelection;
  /** Default: 5432; with `iam` the instance's or cluster's own. */
  readonly port?: number;
  /** The schema that everything of Rollcall's is in. Default: rollcall. */
  readonly schema?: string;
}

export interface VpcDatabaseBySecret extends VpcDatabasePlace {
  /** Lets the functions in, on PostgreSQL's port: the instance, cluster or proxy itself, or its security group. */
  readonly server: IConnectable;
  /**
   * JSON as RDS writes it, or `postgresql://user:password@host:port/database`. The user has to be allowed to create a schema. With a key
   * of yours, the key's policy has to let this account's IAM decide.
   */
  readonly secret: ISecret;
  readonly iam?: undefined;
}

export interface VpcDatabaseByIam extends VpcDatabasePlace {
  /**
   * The instance, cluster or proxy, with IAM authentication on. Each function may log in as the one user that its work needs, of those
   * that `migrations/logins.sql` makes.
   */
  readonly server: IDatabaseInstance | IDatabaseCluster | DatabaseProxy;
  /** Logins by IAM, and no secret. */
  readonly iam: { readonly databaseName: string };
  readonly secret?: undefined;
}

/** How functions log in: what they have to know, and the right. */
interface Login {
  readonly output: Readonly<Record<string, { value: string; description: string }>>;
  /** Of the server, where none is given. */
  readonly port: number;
  /** Whom they ask beside the database. */
  readonly asks: string;
  environment(user: DatabaseUser): Record<string, string>;
  grant(fn: PipelineFunction, user: DatabaseUser): void;
}

/** The database of a platform as Rollcall's functions see it: over TLS, by the user in a secret or by IAM. */
export class VpcDatabase extends Construct implements FaceDatabase {
  readonly network: FunctionNetwork;
  readonly ready: Construct[];
  readonly outputs;
  readonly assets = [];
  private readonly login: Login;
  private readonly schema: string;

  /** @throws ConfigurationError where there is not one way to log in */
  constructor(scope: Construct, id: string, props: VpcDatabaseProps & { schema: string }) {
    super(scope, id);
    const { vpc, vpcSubnets = { subnets: vpc.privateSubnets }, server, schema } = props;
    this.login = loginOf(props);
    const { port = this.login.port } = props;
    const clients = new SecurityGroup(this, 'Clients', {
      vpc,
      description: 'Functions of Rollcall that use the database',
      allowAllOutbound: false,
    });
    clients.connections.allowTo(server, Port.tcp(port), 'PostgreSQL');
    // Their addresses have another name in each Region; who sends them through endpoints has groups of those to narrow it.
    clients.addEgressRule(Peer.anyIpv4(), Port.tcp(443), this.login.asks);
    this.network = { vpc, vpcSubnets, securityGroups: [clients] };
    this.ready = [clients];
    this.schema = schema;
    this.outputs = {
      ...this.login.output,
      DatabaseClientSecurityGroupId: {
        value: clients.securityGroupId,
        description: 'Security group from which the database can be reached',
      },
    };
  }

  environment(user: DatabaseUser): Record<string, string> {
    return {
      ...this.login.environment(user),
      [environmentNames.databaseSchema]: this.schema,
      ...RDS_CERTIFICATES,
    };
  }

  grantLogin(fn: PipelineFunction, user: DatabaseUser): void {
    this.login.grant(fn, user);
  }
}

function loginOf({ secret, iam, server, port }: VpcDatabaseProps): Login {
  if (secret && !iam) {
    return bySecret(secret);
  }
  if (!iam || secret) {
    throw new ConfigurationError(
      'database takes one way to log in: secret, or iam with the name of the database',
    );
  }
  if (!('grantConnect' in server)) {
    throw new ConfigurationError(
      'database has iam, for which server is the RDS instance, the cluster or the proxy itself',
    );
  }
  return byIam(server, iam.databaseName, port);
}

function bySecret(secret: ISecret): Login {
  return {
    output: {
      DatabaseSecretArn: { value: secret.secretArn, description: "Secret with the database's login" },
    },
    port: POSTGRES_PORT,
    asks: 'S3, DynamoDB and Secrets Manager',
    environment: () => ({
      [environmentNames.databaseAuth]: 'secret',
      [environmentNames.databaseSecretArn]: secret.secretArn,
    }),
    grant: (fn) => secret.grantRead(fn),
  };
}

function byIam(server: VpcDatabaseByIam['server'], databaseName: string, given: number | undefined): Login {
  const { host, port: own } = endpointOf(server);
  const port = given ?? own;
  return {
    output: {
      DatabaseEndpoint: {
        value: `${host}:${port}`,
        description: `PostgreSQL, database ${databaseName}; reachable from inside the VPC`,
      },
    },
    port,
    asks: 'S3 and DynamoDB',
    environment: (user) => ({
      [environmentNames.databaseAuth]: 'iam',
      [environmentNames.databaseHost]: host,
      [environmentNames.databasePort]: String(port),
      [environmentNames.databaseName]: databaseName,
      [environmentNames.databaseUser]: user,
      // A proxy hands each transaction to another session.
      [environmentNames.databaseSettings]: 'transaction',
    }),
    grant: (fn, user) => server.grantConnect(fn, user),
  };
}

function endpointOf(server: VpcDatabaseByIam['server']): { host: string; port: number } {
  if ('endpoint' in server) {
    return { host: server.endpoint, port: POSTGRES_PORT };
  }
  const { hostname, port } = 'instanceEndpoint' in server ? server.instanceEndpoint : server.clusterEndpoint;
  return { host: hostname, port };
}
