/** Whether work waits for a lock that somebody else holds, without a clock. */
import type postgres from 'postgres';

/** Comes back as soon as the work waits for a lock in the database, or is over. @returns whether it waits */
export async function waitsForLock(
  { admin }: { admin: postgres.Sql },
  work: Promise<unknown>,
): Promise<boolean> {
  let isOver = false;
  const end = () => {
    isOver = true;
  };
  work.then(end, end);
  while (!isOver) {
    const waiting = await admin`SELECT FROM pg_locks WHERE NOT granted`;
    if (waiting.length > 0) {
      return true;
    }
  }
  return false;
}

/**
 * Work that begins while somebody else's transaction holds what it may wait for, which ends as soon as that is known.
 *
 * @returns whether it waited, when that was over by the database's clock, and how many advisory locks were given by then
 */
export async function whileHeld<Result>(
  { admin }: { admin: postgres.Sql },
  hold: (sql: postgres.TransactionSql) => Promise<unknown>,
  work: () => Promise<Result>,
): Promise<{ waited: boolean; until: string; locks: number; result: Result }> {
  let working: Promise<Result> | undefined;
  const found = await admin.begin(async (sql) => {
    await hold(sql);
    working = work();
    const waited = await waitsForLock({ admin }, working);
    const [now] = await admin<{ until: string; locks: number }[]>`
      SELECT clock_timestamp()::text AS until,
        (SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND granted) AS locks`;
    return { waited, ...now! };
  });
  return { ...found, result: await working! };
}
