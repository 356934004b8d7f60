import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { listenOnLoopback } from './loopback.ts';
import type { ResolvedTemplate } from './template.ts';

export interface Secrets {
  endpoint: string;
  stop(): Promise<void>;
}

/**
 * Secrets Manager's GetSecretValue, for the secrets that a template attaches to its database:
 * https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
 *
 * @param secrets the strings, by ARN
 */
export async function startSecrets(secrets: ReadonlyMap<string, string>): Promise<Secrets> {
  const server = createServer(async (request, response) => {
    const { SecretId: id } = JSON.parse((await text(request)) || '{}') as { SecretId?: string };
    const isKnown = String(request.headers['x-amz-target']).endsWith('.GetSecretValue');
    const secret = isKnown ? secrets.get(id ?? '') : undefined;
    response.setHeader('content-type', 'application/x-amz-json-1.1');
    if (secret === undefined) {
      const type = 'ResourceNotFoundException';
      response.writeHead(400, { 'x-amzn-errortype': type });
      response.end(JSON.stringify({ __type: type, Message: `The local run has no secret ${id}` }));
      return;
    }
    response.end(JSON.stringify({ ARN: id, SecretString: secret, VersionStages: ['AWSCURRENT'] }));
  });
  return listenOnLoopback(server);
}

/**
 * The secrets that are attached to a database, as RDS completes them: the master's login, and where the database is.
 * https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html
 *
 * @param login of the master, as a URL
 * @param at where clients find the server
 */
export function attachedSecrets(
  stack: ResolvedTemplate,
  login: string,
  at: { host: string; port: number },
): Map<string, string> {
  const { username, password, pathname } = new URL(login);
  const secret = JSON.stringify({
    engine: 'postgres',
    username: decodeURIComponent(username),
    password: decodeURIComponent(password),
    dbname: decodeURIComponent(pathname.slice(1)),
    ...at,
  });
  return new Map(
    stack
      .resources('AWS::SecretsManager::SecretTargetAttachment')
      .map(({ get }) => [get<string>('SecretId')!, secret]),
  );
}
