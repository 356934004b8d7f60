import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** What PgBouncer takes at the start unless it is told otherwise: https://www.pgbouncer.org/config.html (ignore_startup_parameters) */
const TAKEN_AT_START = new Set([
  'user',
  'database',
  'client_encoding',
  'application_name',
  'datestyle',
  'timezone',
  'standard_conforming_strings',
]);

const SSL_REQUEST = 80_877_103;

export interface Pooler {
  port: number;
  stop(): Promise<void>;
}

interface Backend {
  socket: Socket;
  /** The answers that are still to come, each ended by a ReadyForQuery. */
  outstanding: number;
  receive(type: string, message: Buffer): void;
}

interface Pool {
  /** Any backend but this one: a new one while there may be more, else the one that has been free for the longest. */
  take(not: Backend | undefined): Promise<Backend>;
  release(backend: Backend): void;
}

/**
 * PgBouncer in transaction mode, at its worst: every transaction, and every statement outside of one, gets another backend than
 * the one before. Nothing is reset in between, as PgBouncer resets nothing in that mode. It takes no other settings at the start
 * than PgBouncer does, and speaks no TLS.
 *
 * @param target where a PostgreSQL listens that trusts everybody
 */
export async function startPooler(target: { host: string; port: number }, size = 4): Promise<Pooler> {
  const sockets = new Set<Socket>();
  /** One for each user and database. */
  const pools = new Map<string, Pool>();

  const server: Server = createServer((client) => {
    track(client);
    messagesOf(client, true, serve(client));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });

  function track(socket: Socket): void {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
  }

  /** What to do with each message of one client. */
  function serve(client: Socket) {
    let pool: Pool | undefined;
    let backend: Backend | undefined;
    let last: Backend | undefined;
    let isAsking = false;
    const unsent: Buffer[] = [];

    function send(message: Buffer): void {
      const type = String.fromCharCode(message[0]!);
      if (type === 'Q' || type === 'S') {
        backend!.outstanding++;
      }
      backend!.socket.write(message);
    }

    async function hand(): Promise<void> {
      isAsking = true;
      const { take, release } = pool!;
      backend = await take(last);
      isAsking = false;
      last = backend;
      backend.receive = (type, message) => {
        client.write(message);
        if (type === 'Z' && --backend!.outstanding === 0 && message[5] === 'I'.charCodeAt(0)) {
          const done = backend!;
          backend = undefined;
          release(done);
        }
      };
      for (const message of unsent.splice(0)) {
        send(message);
      }
    }

    client.on('close', () => {
      // A transaction that its client left is rolled back: PgBouncer closes the backend.
      backend?.socket.destroy();
    });
    return (message: Buffer, isStartup: boolean) => {
      if (isStartup) {
        if (message.readInt32BE(4) === SSL_REQUEST) {
          client.write('N');
          return true;
        }
        const unknown = startupNames(message).find((name) => !TAKEN_AT_START.has(name.toLowerCase()));
        if (unknown) {
          client.end(errorMessage('FATAL', '08P01', `unsupported startup parameter: ${unknown}`));
          return false;
        }
        const key = message.toString('latin1');
        pool = pools.get(key) ?? poolOf(message);
        pools.set(key, pool);
        // Authentication is fine, and whatever it asks for may come.
        client.write(Buffer.concat([wire('R', Buffer.alloc(4)), wire('Z', Buffer.from('I'))]));
        return false;
      }
      if (message[0] === 'X'.charCodeAt(0)) {
        client.end();
      } else if (backend) {
        send(message);
      } else {
        unsent.push(message);
        if (!isAsking) {
          void hand().catch(() => client.destroy());
        }
      }
      return false;
    };
  }

  function poolOf(startup: Buffer): Pool {
    const free: Backend[] = [];
    const waiting: ((backend: Backend) => void)[] = [];
    let opened = 0;

    async function take(not: Backend | undefined): Promise<Backend> {
      if (opened < size) {
        opened++;
        const fresh = await openBackend(startup);
        fresh.socket.on('close', () => {
          opened--;
          free.splice(free.indexOf(fresh), free.includes(fresh) ? 1 : 0);
        });
        return fresh;
      }
      const index = free.findIndex((backend) => backend !== not);
      if (index >= 0) {
        return free.splice(index, 1)[0]!;
      }
      const next = await new Promise<Backend>((resolve) => waiting.push(resolve));
      if (next !== not) {
        return next;
      }
      const other = take(not);
      release(next);
      return other;
    }

    function release(backend: Backend): void {
      const next = waiting.shift();
      if (next) {
        next(backend);
      } else {
        free.push(backend);
      }
    }
    return { take, release };
  }

  async function openBackend(startup: Buffer): Promise<Backend> {
    const socket = connect(target.port, target.host);
    track(socket);
    const backend: Backend = { socket, outstanding: 0, receive: () => {} };
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('The server closed the connection')));
      backend.receive = (type) => (type === 'Z' ? resolve() : undefined);
      messagesOf(socket, false, (message) => {
        backend.receive(String.fromCharCode(message[0]!), message);
        return false;
      });
      socket.write(startup);
    });
    return backend;
  }

  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) {
        socket.destroy();
      }
      await closed;
    },
  };
}

/**
 * Cuts a stream into messages.
 *
 * @param hasStartup whether it begins with messages that have no type: as long as `take` returns true for one, another follows
 */
function messagesOf(
  socket: Socket,
  hasStartup: boolean,
  take: (message: Buffer, isStartup: boolean) => boolean,
): void {
  let unread = Buffer.alloc(0);
  let isStartup = hasStartup;
  socket.on('data', (data: Buffer) => {
    unread = Buffer.concat([unread, data]);
    for (;;) {
      const at = isStartup ? 0 : 1;
      if (unread.length < at + 4 || unread.length < at + unread.readInt32BE(at)) {
        return;
      }
      const length = at + unread.readInt32BE(at);
      const message = unread.subarray(0, length);
      unread = unread.subarray(length);
      isStartup = take(message, isStartup) && isStartup;
    }
  });
}

function startupNames(message: Buffer): string[] {
  return message
    .subarray(8)
    .toString('utf8')
    .split('\0')
    .filter((text, index) => index % 2 === 0 && text !== '');
}

function wire(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

function errorMessage(severity: string, code: string, message: string): Buffer {
  return wire('E', Buffer.from(`S${severity}\0V${severity}\0C${code}\0M${message}\0\0`));
}
