/** DynamoDB (dynalite) as a process of its own, so that the functions' work does not slow the ledger's store. */
import { startTables, type TableDefinition } from '../../local/tables.ts';

const { folder, tables } = JSON.parse(process.argv[2]!) as { folder: string; tables: TableDefinition[] };
const { endpoint } = await startTables(folder, tables);
process.send?.({ endpoint });
process.on('disconnect', () => process.exit());
