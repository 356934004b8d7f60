/**
 * Whether this is postgres.js's write to a connection that is gone: it writes in a later tick, without a look whether the
 * connection still is, so that what it throws can be caught by nobody.
 */
export function isWriteToLostConnection(error: unknown): boolean {
  return error instanceof TypeError && error.message.includes("of null (reading 'write')");
}
