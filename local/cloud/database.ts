/** Aurora: a PostgreSQL, the gate before it that takes IAM tokens, and the Data API. */
import { type DataApi, startDataApi } from '../data-api.ts';
import type { Authority } from '../iam/authority.ts';
import { startDatabaseGate } from '../iam/database-gate.ts';
import { admitsLogin } from '../iam/guard.ts';
import { type LocalPostgres, startPostgres } from '../postgres.ts';
import { databaseOf } from '../stand-ins.ts';
import type { Assembly } from '../synthesis.ts';
import type { ResolvedTemplate } from '../template.ts';
import type { Setup } from './setup.ts';

/** Its address is known before it starts, because the template's values are made of it. */
export interface DatabaseAddress {
  host: string;
  port: number;
  /** To be called once, before anybody comes to the address. */
  start(stack: ResolvedTemplate, authority: Authority): Promise<Database>;
}

export interface Database {
  postgres: LocalPostgres;
  dataApi: DataApi;
}

export async function openDatabase(setup: Setup, assembly: Assembly): Promise<DatabaseAddress> {
  const { options, inState, onStop } = setup;
  const certificates = inState('postgres', 'data');
  let certificateAuthority = '';
  let admits = async (_user: string, _password: string) => false;
  const gate = await startDatabaseGate({
    certificates,
    certificateAuthority: () => certificateAuthority,
    port: options.postgresPort,
    admits: (user, password) => admits(user, password),
  });
  onStop('services', gate.stop);
  return {
    host: 'localhost',
    port: (await options.between?.database?.(gate.port, certificates)) ?? gate.port,
    async start(stack, authority) {
      const [cluster] = stack.resources('AWS::RDS::DBCluster');
      const { attributes } = cluster!.local;
      admits = (user, password) =>
        admitsLogin(authority, attributes.DBClusterResourceId as string, user, password);
      const postgres = await startServer(setup, assembly);
      ({ certificateAuthority } = postgres);
      const dataApi = await startDataApi({
        masterUrl: postgres.masterUrl,
        clusterArn: attributes.DBClusterArn as string,
        secretArn: attributes['MasterUserSecret.SecretArn'] as string,
      });
      onStop('services', dataApi.stop);
      return { postgres, dataApi };
    },
  };
}

async function startServer({ options, inState, onStop }: Setup, assembly: Assembly): Promise<LocalPostgres> {
  const postgres = await startPostgres({
    folder: inState('postgres'),
    log: inState('logs', 'postgres.log'),
    port: options.postgresPort,
    keeps: options.keeps ?? true,
    ...databaseOf(assembly),
  });
  onStop('services', postgres.stop);
  return postgres;
}
