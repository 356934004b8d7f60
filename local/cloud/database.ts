/** Aurora, or a database of the app's own: a PostgreSQL, the gate before it that takes IAM tokens, the Data API, and the secrets. */
import { type DataApi, startDataApi } from '../data-api.ts';
import type { Authority } from '../iam/authority.ts';
import { startDatabaseGate } from '../iam/database-gate.ts';
import { admitsLogin } from '../iam/guard.ts';
import { createLogins } from '../owner-logins.ts';
import { type LocalPostgres, startPostgres } from '../postgres.ts';
import { attachedSecrets, type Secrets, startSecrets } from '../secrets.ts';
import { databaseOf, databaseResourceId, type ServedDatabase } from '../stand-ins.ts';
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
  /** With the master's login. */
  secrets: Secrets;
}

export async function openDatabase(setup: Setup, assembly: Assembly): Promise<DatabaseAddress> {
  const { options, inState, onStop } = setup;
  const served = databaseOf(assembly);
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
  const serverPort = served.login === 'iam' ? gate.port : options.postgresPort;
  const at = {
    host: 'localhost',
    port: (await options.between?.database?.(serverPort, certificates)) ?? serverPort,
  };
  return {
    ...at,
    async start(stack, authority) {
      admits = (user, password) => admitsLogin(authority, databaseResourceId(stack), user, password);
      const postgres = await startServer(setup, served);
      ({ certificateAuthority } = postgres);
      const [cluster] = stack.resources('AWS::RDS::DBCluster');
      const dataApi = await startDataApi({
        masterUrl: postgres.masterUrl,
        // An instance has no Data API.
        clusterArn: String(cluster?.local.attributes.DBClusterArn),
        secretArn: String(cluster?.local.attributes['MasterUserSecret.SecretArn']),
      });
      onStop('services', dataApi.stop);
      const secrets = await startSecrets(attachedSecrets(stack, postgres.masterUrl, at));
      onStop('services', secrets.stop);
      return { postgres, dataApi, secrets };
    },
  };
}

async function startServer(
  { options, inState, onStop }: Setup,
  { database, master, login, isOwn }: ServedDatabase,
): Promise<LocalPostgres> {
  const postgres = await startPostgres({
    folder: inState('postgres'),
    log: inState('logs', 'postgres.log'),
    port: options.postgresPort,
    keeps: options.keeps ?? true,
    database,
    master,
  });
  onStop('services', postgres.stop);
  if (login === 'iam' && !isOwn) {
    await createLogins(postgres.url, master);
  }
  return postgres;
}
