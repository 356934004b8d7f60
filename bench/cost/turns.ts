import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/**
 * Stands in front of a server and counts the round trips: each time that a client writes after the server has.
 *
 * @returns the port that it listens at on localhost
 */
export async function countTurns(
  target: number,
  onTurn: () => void,
): Promise<{ port: number; stop(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(target, 'localhost');
    let isServersTurn = false;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.on('data', (chunk) => {
      if (!isServersTurn) {
        isServersTurn = true;
        onTurn();
      }
      upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      isServersTurn = false;
      client.write(chunk);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      for (const socket of sockets) {
        socket.destroy();
      }
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
