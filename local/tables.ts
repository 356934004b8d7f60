import { existsSync, renameSync, rmSync } from 'node:fs';
import type { Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CreateTableCommand,
  type CreateTableCommandInput,
  DeleteItemCommand,
  DescribeTableCommand,
  DynamoDBClient,
  paginateScan,
  ResourceNotFoundException,
  waitUntilTableExists,
} from '@aws-sdk/client-dynamodb';
import dynalite from 'dynalite';
import { Level } from 'level';
import { localClientOptions } from './clients.ts';
import { LocalError } from './local-error.ts';
import { tellRefusedItems } from './refused-items.ts';

/** A table of the template, as far as it means anything here. */
export interface TableDefinition {
  name: string;
  create: Pick<
    CreateTableCommandInput,
    'AttributeDefinitions' | 'KeySchema' | 'GlobalSecondaryIndexes' | 'LocalSecondaryIndexes'
  >;
  /** The TTL attribute, epoch seconds. */
  expiry: string | undefined;
}

export interface Tables {
  endpoint: string;
  client: DynamoDBClient;
  stop(): Promise<void>;
}

/**
 * DynamoDB (dynalite), kept in the folder, with the tables that are asked for. Items whose time to live has passed are
 * deleted now, as DynamoDB deletes them within days: dynalite itself knows no TTL. So are the idempotency records of functions
 * that an earlier run was ended with: no function is at work when a run begins, and nobody need wait until theirs time out.
 *
 * @param folder undefined for memory
 */
export async function startTables(
  folder: string | undefined,
  tables: readonly TableDefinition[],
): Promise<Tables> {
  if (folder === undefined) {
    const server = await serve(undefined);
    await createMissing(server.client, tables);
    return server;
  }
  if (!existsSync(folder)) {
    // A process killed while a table is being created leaves one that never becomes active: all or nothing.
    const fresh = `${folder}.new`;
    rmSync(fresh, { recursive: true, force: true });
    const server = await serve(fresh);
    await createMissing(server.client, tables);
    await server.stop();
    renameSync(fresh, folder);
  }
  const server = await serve(folder);
  await createMissing(server.client, tables);
  await deleteStale(server.client, tables);
  return server;
}

async function serve(path: string | undefined): Promise<Tables> {
  if (path !== undefined) {
    await untilReadable(path);
  }
  tellRefusedItems();
  const server = dynalite({ ...(path !== undefined && { path }), createTableMs: 0 });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const quiet = watchRequests(server);
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = new DynamoDBClient({ ...localClientOptions, endpoint });
  return {
    endpoint,
    client,
    async stop() {
      client.destroy();
      server.closeAllConnections();
      await quiet();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/**
 * dynalite answers nothing while it cannot open its store: its clients would wait for ever. A process that was killed
 * holds the lock for a moment longer than it can be seen.
 *
 * @throws LocalError when another process keeps the store, or what is in it cannot be read
 */
async function untilReadable(path: string, patienceMs = 10_000): Promise<void> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const store = new Level(path);
    try {
      await store.open();
      await store.close();
      return;
    } catch (error) {
      const { code, message } = ((error as Error).cause ?? error) as { code?: string; message: string };
      if (code !== 'LEVEL_LOCKED') {
        throw new LocalError(
          'IncompatibleStateError',
          `${path} cannot be read (${message}). Start afresh: npm run local:reset.`,
        );
      }
      if (performance.now() > deadline) {
        throw new LocalError(
          'StateFolderInUseError',
          `Another process uses ${path}. Stop it, or use another state folder.`,
        );
      }
      await sleep(50);
    }
  }
}

/**
 * dynalite closes its database under requests whose client is gone, and they end in an uncaught error.
 *
 * @returns what resolves when none is at work
 */
function watchRequests(server: Server): () => Promise<void> {
  const atWork = new Set<ServerResponse>();
  server.prependListener('request', (request, response) => {
    request.once('end', () => atWork.add(response));
    const end = response.end;
    response.end = ((...args: Parameters<typeof end>) => {
      atWork.delete(response);
      return end.apply(response, args);
    }) as typeof end;
  });
  return async () => {
    const deadline = performance.now() + 5_000;
    while (atWork.size > 0 && performance.now() < deadline) {
      await sleep(5);
    }
  };
}

async function createMissing(client: DynamoDBClient, tables: readonly TableDefinition[]): Promise<void> {
  for (const { name, create } of tables) {
    try {
      await client.send(new DescribeTableCommand({ TableName: name }));
    } catch (error) {
      if (!(error instanceof ResourceNotFoundException)) {
        throw error;
      }
      await client.send(
        new CreateTableCommand({ ...create, TableName: name, BillingMode: 'PAY_PER_REQUEST' }),
      );
      await waitUntilTableExists(
        { client, minDelay: 0.02, maxDelay: 0.1, maxWaitTime: 10 },
        { TableName: name },
      );
    }
  }
}

async function deleteStale(client: DynamoDBClient, tables: readonly TableDefinition[]): Promise<void> {
  for (const { name: TableName, create, expiry } of tables) {
    if (expiry === undefined) {
      continue;
    }
    const keys = create.KeySchema!.map((key) => key.AttributeName!);
    const now = String(Math.floor(Date.now() / 1000));
    for await (const { Items = [] } of paginateScan(
      { client },
      {
        TableName,
        // The second is a record that is taken, in Powertools' own names.
        FilterExpression: '#expiry < :now OR (attribute_exists(in_progress_expiration) AND #status = :taken)',
        ExpressionAttributeNames: { '#expiry': expiry, '#status': 'status' },
        ExpressionAttributeValues: { ':now': { N: now }, ':taken': { S: 'INPROGRESS' } },
      },
    )) {
      for (const item of Items) {
        const Key = Object.fromEntries(keys.map((key) => [key, item[key]!]));
        await client.send(new DeleteItemCommand({ TableName, Key }));
      }
    }
  }
}
