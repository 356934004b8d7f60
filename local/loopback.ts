import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Loopback {
  /** URL without a path. */
  endpoint: string;
  /** Cuts off whoever is connected. */
  stop(): Promise<void>;
}

/** Has a server listen where only this machine reaches it, on a free port. */
export async function listenOnLoopback(server: Server): Promise<Loopback> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
