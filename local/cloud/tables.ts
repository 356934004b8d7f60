/** DynamoDB, with the tables of the stack. */
import { tableDefinitions } from '../stand-ins.ts';
import { startTables, type Tables } from '../tables.ts';
import type { ResolvedTemplate } from '../template.ts';
import type { Setup } from './setup.ts';

export async function startDynamodb(
  { options, inState, onStop }: Setup,
  stack: ResolvedTemplate,
): Promise<Tables> {
  const folder = (options.keeps ?? true) ? inState('dynamodb') : undefined;
  const tables = await startTables(folder, tableDefinitions(stack));
  onStop('services', tables.stop);
  return tables;
}
