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
