import { isWriteToLostConnection } from '../../../../../lambdas/shared/database/lost-connection.ts';

test("is what postgres.js's write to no socket throws, and nothing else", () => {
  let thrown: unknown;
  try {
    const { socket } = { socket: null } as unknown as { socket: { write(): void } };
    socket.write();
  } catch (error) {
    thrown = error;
  }
  expect(isWriteToLostConnection(thrown)).toBe(true);
  const { message } = thrown as Error;
  for (const other of [
    new Error(message),
    new TypeError('another mistake'),
    new TypeError("Cannot read properties of undefined (reading 'write')"),
    message,
    null,
  ]) {
    expect([String(other), isWriteToLostConnection(other)]).toEqual([String(other), false]);
  }
});
