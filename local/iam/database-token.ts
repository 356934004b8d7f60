/** An IAM token for a login: a request that was signed for `rds-db:connect` and never sent. */
export interface DatabaseToken {
  accessKeyId: string;
  user: string;
}

/**
 * Reads a token, unless it is none or is too old.
 * https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.Connecting.html
 */
export function readDatabaseToken(token: string, now: number): DatabaseToken | undefined {
  const url = URL.parse(`https://${token}`);
  const query = url?.searchParams;
  const user = query?.get('DBUser');
  const accessKeyId = query?.get('X-Amz-Credential')?.split('/')[0];
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(query?.get('X-Amz-Date') ?? '') ?? [];
  const signedAt = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  const lifeMs = Number(query?.get('X-Amz-Expires')) * 1000;
  const alive = now < signedAt + lifeMs;
  return query?.get('Action') === 'connect' && user && accessKeyId && alive
    ? { accessKeyId, user }
    : undefined;
}
