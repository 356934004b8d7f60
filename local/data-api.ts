import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import postgres from 'postgres';
import { listenOnLoopback } from './loopback.ts';

export interface DataApiOptions {
  /** Of the master user, on the cluster's database. */
  masterUrl: string;
  clusterArn: string;
  secretArn: string;
}

export interface DataApi {
  endpoint: string;
  stop(): Promise<void>;
}

/** What ExecuteStatement takes: https://docs.aws.amazon.com/rdsdataservice/latest/APIReference/API_ExecuteStatement.html */
interface ExecuteStatement {
  resourceArn?: string;
  secretArn?: string;
  database?: string;
  sql?: string;
}

/** The RDS Data API, as far as the deployment uses it: ExecuteStatement with one statement that returns no rows. */
export async function startDataApi({ masterUrl, clusterArn, secretArn }: DataApiOptions): Promise<DataApi> {
  async function execute(request: ExecuteStatement): Promise<void> {
    if (request.resourceArn !== clusterArn || request.secretArn !== secretArn || !request.sql) {
      throw new Error('No such cluster, secret or statement');
    }
    // The API takes `:name` for a parameter wherever it stands, and none is given.
    const parameter = /(?<!:):([A-Za-z_]\w*)/.exec(request.sql);
    if (parameter) {
      throw new Error(`Cannot find parameter: ${parameter[1]}`);
    }
    const url = new URL(masterUrl);
    url.pathname = request.database ?? url.pathname;
    const sql = postgres(url.href, { max: 1, onnotice: () => {}, fetch_types: false });
    try {
      // The extended protocol takes one statement only, as the API does.
      await sql.unsafe(request.sql, [], { simple: false } as object);
    } finally {
      await sql.end();
    }
  }

  const server = createServer(async (request, response) => {
    response.setHeader('content-type', 'application/json');
    try {
      if (request.url !== '/Execute') {
        throw new Error(`The local Data API does not know ${request.url}`);
      }
      await execute(JSON.parse(await text(request)) as ExecuteStatement);
      response.end(JSON.stringify({ numberOfRecordsUpdated: 0, generatedFields: [] }));
    } catch (error) {
      const { message, code } = error as { message: string; code?: string };
      response.writeHead(400, { 'x-amzn-errortype': 'DatabaseErrorException' });
      response.end(JSON.stringify({ message: `ERROR: ${message}; SQLState: ${code ?? 'none'}` }));
    }
  });
  return listenOnLoopback(server);
}
