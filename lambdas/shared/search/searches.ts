/** Every statement that writes the table `searches`; a test keeps such SQL out of all other files. */
import type { ResolveFacesRequest } from '../contract/search.ts';
import type { Sql } from '../database/connection.ts';
import type { Transaction } from '../photos/rows.ts';

export async function recordSearch(
  sql: Transaction,
  search: Pick<ResolveFacesRequest, 'event_id' | 'kind' | 'reference'> & { found: number },
): Promise<void> {
  await sql`
    INSERT INTO searches (event_id, kind, found, reference)
    VALUES (${search.event_id}, ${search.kind}, ${search.found}, ${search.reference})`;
}

/** @returns how many were kept for longer than they may be, and are forgotten now */
export async function forgetSearches(sql: Sql, before: Date): Promise<number> {
  const { count } = await sql`DELETE FROM searches WHERE searched_at < ${before}`;
  return count;
}
