import { ArnFormat, Duration, Stack } from 'aws-cdk-lib';
import { Port, SecurityGroup } from 'aws-cdk-lib/aws-ec2';
import {
  AuroraPostgresEngineVersion,
  ClusterInstance,
  Credentials,
  DatabaseCluster,
  DatabaseClusterEngine,
} from 'aws-cdk-lib/aws-rds';
import { Trigger } from 'aws-cdk-lib/triggers';
import { Construct } from 'constructs';
import { DEFAULT_SCHEMA, environmentNames } from '../../lambdas/shared/contract/names.ts';
import type { RollcallConfig } from '../config/config.ts';
import { removalPolicy, staysWithDatabase } from '../config/removal.ts';
import { acknowledge } from '../parts/acknowledge.ts';
import { allow } from '../parts/grants.ts';
import { type FunctionNetwork, PipelineFunction } from '../parts/pipeline-function.ts';
import { type DatabaseUser, type FaceDatabase, RDS_CERTIFICATES } from './face-database.ts';
import type { IsolatedNetwork } from './isolated-network.ts';

const DATABASE_NAME = 'rollcall';

/** The login of `migrations/bootstrap.sql` for applications, which may only read. */
const READER = 'rollcall_application';

/** Without a minor version, so that AWS may raise it and no deployment wants it lowered (docs/adr/0015). */
const ENGINE_MAJOR_VERSION = '17';

interface AuroraDatabaseProps {
  readonly config: RollcallConfig;
  readonly network: IsolatedNetwork;
}

/**
 * Aurora Serverless v2 that sleeps when nobody uploads. Functions log in with IAM tokens; the only password is the
 * master's, which RDS keeps, rotates and needs no function to know but the one that creates the first roles.
 */
export class AuroraDatabase extends Construct implements FaceDatabase {
  readonly network: FunctionNetwork;
  readonly ready: Construct[];
  readonly outputs;
  readonly assets = [];
  private readonly cluster: DatabaseCluster;

  constructor(scope: Construct, id: string, { config, network }: AuroraDatabaseProps) {
    super(scope, id);
    const { vpc, vpcSubnets } = network;
    const servers = new SecurityGroup(this, 'Servers', {
      vpc,
      description: 'The database',
      allowAllOutbound: false,
    });
    const clients = new SecurityGroup(this, 'Clients', {
      vpc,
      description: 'Functions that use the database',
      allowAllOutbound: false,
    });
    clients.connections.allowTo(servers, Port.tcp(5432), 'PostgreSQL');

    this.cluster = new DatabaseCluster(this, 'Cluster', {
      engine: DatabaseClusterEngine.auroraPostgres({
        version: AuroraPostgresEngineVersion.of(ENGINE_MAJOR_VERSION, ENGINE_MAJOR_VERSION),
      }),
      writer: ClusterInstance.serverlessV2('Writer', { autoMinorVersionUpgrade: true }),
      serverlessV2MinCapacity: config.auroraMinCapacity,
      serverlessV2MaxCapacity: config.auroraMaxCapacity,
      vpc,
      vpcSubnets,
      securityGroups: [servers],
      defaultDatabaseName: DATABASE_NAME,
      credentials: Credentials.fromUsername('rollcall_admin'),
      manageMasterUserPassword: true,
      iamAuthentication: true,
      enableDataApi: true,
      storageEncrypted: true,
      backup: { retention: Duration.days(config.auroraBackupDays) },
      copyTagsToSnapshot: true,
      deletionProtection: config.deletionProtection,
      removalPolicy: removalPolicy(config),
    });
    // The writer and the subnet group are parts of the cluster's construct.
    staysWithDatabase(config, this.cluster, servers);
    acknowledge(
      this.cluster,
      'Reachable from one security group in a network without routes: an unusual port would hide it from nobody',
      'AwsSolutions-RDS11',
    );
    if (!config.deletionProtection) {
      acknowledge(
        this.cluster,
        'RDS would refuse to roll a failed first deployment back. Without it too, nothing that CloudFormation does deletes a retained cluster',
        'AwsSolutions-RDS10',
      );
    }

    this.network = { vpc, vpcSubnets, securityGroups: [clients] };
    this.ready = [this.cluster, servers, clients, this.createRoles(config)];
    this.outputs = {
      DatabaseEndpoint: {
        value: this.cluster.clusterEndpoint.socketAddress,
        description: `PostgreSQL, database ${DATABASE_NAME}; reachable from inside the VPC`,
      },
      DatabaseClusterArn: {
        value: this.cluster.clusterArn,
        description: 'For the query editor of the RDS console and `aws rds-data execute-statement`',
      },
      DatabaseReaderArn: {
        value: Stack.of(this).formatArn({
          service: 'rds-db',
          resource: 'dbuser',
          resourceName: `${this.cluster.clusterResourceIdentifier}/${READER}`,
          arnFormat: ArnFormat.COLON_RESOURCE_NAME,
        }),
        description: 'What an application that reads the database needs rds-db:connect on',
      },
      DatabaseClientSecurityGroupId: {
        value: clients.securityGroupId,
        description: 'Security group from which the database can be reached',
      },
      DatabaseSubnetIds: {
        value: vpc.selectSubnets(vpcSubnets).subnetIds.join(','),
        description: 'Subnets from which the database can be reached',
      },
      DatabaseSecretArn: {
        value: this.masterSecretArn,
        description: "Secret with the master's user name and password",
      },
    };
  }

  environment(user: DatabaseUser): Record<string, string> {
    const { hostname, port } = this.cluster.clusterEndpoint;
    return {
      [environmentNames.databaseAuth]: 'iam',
      [environmentNames.databaseHost]: hostname,
      [environmentNames.databasePort]: String(port),
      [environmentNames.databaseName]: DATABASE_NAME,
      [environmentNames.databaseUser]: user,
      [environmentNames.databaseSchema]: DEFAULT_SCHEMA,
      ...RDS_CERTIFICATES,
    };
  }

  grantLogin(fn: PipelineFunction, user: DatabaseUser): void {
    this.cluster.grantConnect(fn, user);
  }

  private get masterSecretArn(): string {
    return this.cluster.secret!.secretArn;
  }

  /**
   * No role can log in with IAM before somebody created it, and nothing inside the network reaches the master's secret:
   * so a function outside does it, over the Data API.
   */
  private createRoles(config: RollcallConfig): Trigger {
    const fn = new PipelineFunction(this, 'BootstrapDatabase', {
      config,
      name: 'bootstrap-database',
      description: "Creates the database roles of Rollcall's functions",
      // Longer than the two minutes that it gives the cluster to wake.
      timeout: Duration.minutes(4),
      environment: {
        [environmentNames.databaseClusterArn]: this.cluster.clusterArn,
        [environmentNames.databaseSecretArn]: this.masterSecretArn,
        [environmentNames.databaseName]: DATABASE_NAME,
      },
      assets: ['migrations/bootstrap.sql'],
    });
    allow(fn, ['rds-data:ExecuteStatement'], this.cluster.clusterArn);
    allow(fn, ['secretsmanager:GetSecretValue'], this.masterSecretArn);
    return new Trigger(this, 'Roles', {
      handler: fn,
      timeout: Duration.minutes(5),
      // The writer too: the Data API needs an instance to run on.
      executeAfter: [this.cluster],
    });
  }
}
