import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import postgres from 'postgres';
import { PROJECT_ROOT } from './synthesis.ts';

/**
 * Runs `migrations/logins.sql`, as the owner of a platform's database does before the first deployment.
 *
 * @param url of the superuser, on that database
 * @param owner with whose rights it runs
 */
export async function createLogins(url: string, owner: string): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => {}, fetch_types: false });
  try {
    await sql`SELECT set_config('session_authorization', ${owner}, false)`;
    await sql.unsafe(readFileSync(join(PROJECT_ROOT, 'migrations', 'logins.sql'), 'utf8'));
  } finally {
    await sql.end();
  }
}
