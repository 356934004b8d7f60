import { join } from 'node:path';
import { ListTablesCommand, PutItemCommand, ScanCommand } from '@aws-sdk/client-dynamodb';
import { startTables } from '../../local/tables.ts';

/** The idempotency records of Lambdas that were cut off at work; `pass` lets the minute pass that each is taken. */
export async function takenRecords(stateDir: string, { pass }: { pass: boolean }): Promise<number> {
  const tables = await startTables(join(stateDir, 'dynamodb'), []);
  let taken = 0;
  const { TableNames = [] } = await tables.client.send(new ListTablesCommand({}));
  for (const TableName of TableNames) {
    const { Items = [] } = await tables.client.send(new ScanCommand({ TableName }));
    for (const item of Items.filter(({ status }) => status?.S === 'INPROGRESS')) {
      taken++;
      const Item = { ...item, in_progress_expiration: { N: String(Date.now()) } };
      await (pass && tables.client.send(new PutItemCommand({ TableName, Item })));
    }
  }
  await tables.stop();
  return taken;
}
