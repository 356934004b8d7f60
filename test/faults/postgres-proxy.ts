import { readFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls, TLSSocket } from 'node:tls';
import type { ConnectFault, StatementFault } from './plan.ts';

/** https://www.postgresql.org/docs/current/protocol-message-formats.html */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

export interface PostgresDisturber {
  connect(): ConnectFault | undefined;
  statement(sql: string): StatementFault | undefined;
  afterCommit(): boolean;
}

export interface PostgresProxy {
  port: number;
  /** Takes the server away: open connections break, new ones are refused, until it returns. */
  leave(ms: number): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Stands in front of PostgreSQL, reads what the clients say, and lets connections break where it hurts: in the middle of a
 * transaction, or after the COMMIT and before its answer.
 *
 * @param certificates folder of server.key and server.crt, read when the first client comes
 */
export async function startPostgresProxy(
  targetPort: number,
  certificates: string,
  disturber: PostgresDisturber,
): Promise<PostgresProxy> {
  const sockets = new Set<Socket>();
  let server = await listen(0);
  const { port } = server.address() as { port: number };

  function listen(on: number): Promise<Server> {
    const created = createServer((client) => {
      sockets.add(client);
      // Messages go on one by one: each would wait until the one before it is acknowledged, 40 ms.
      client.setNoDelay(true);
      client.on('close', () => sockets.delete(client));
      client.on('error', () => client.destroy());
      serve(client);
    });
    return new Promise((resolve, reject) => {
      created.once('error', reject);
      created.listen(on, '127.0.0.1', () => resolve(created));
    });
  }

  function serve(client: Socket): void {
    client.once('data', () => {
      if (disturber.connect() === 'refused') {
        client.destroy();
        return;
      }
      client.write('S');
      const secure = new TLSSocket(client, {
        isServer: true,
        key: readFileSync(join(certificates, 'server.key')),
        cert: readFileSync(join(certificates, 'server.crt')),
      });
      secure.on('error', () => client.destroy());
      if (disturber.connect() === 'too_many') {
        secure.once('data', () =>
          secure.end(errorResponse('FATAL', '53300', 'sorry, too many clients already')),
        );
        return;
      }
      relay(secure);
    });
  }

  function relay(client: TLSSocket): void {
    const plain = connect({ port: targetPort, host: '127.0.0.1', noDelay: true });
    const pending: Buffer[] = [];
    let backend: TLSSocket | undefined;
    const close = () => {
      client.destroy();
      plain.destroy();
    };
    plain.on('error', close);
    plain.on('close', close);
    client.on('close', close);
    plain.once('connect', () => plain.write(SSL_REQUEST));
    plain.once('data', () => {
      const secured = connectTls({ socket: plain, rejectUnauthorized: false });
      secured.on('error', close);
      secured.on('data', (data: Buffer) => fromBackend(data));
      backend = secured;
      for (const data of pending.splice(0)) {
        fromClient(data);
      }
    });
    client.on('data', (data: Buffer) => {
      if (backend) {
        fromClient(data);
      } else {
        pending.push(data);
      }
    });

    let unread: Buffer = Buffer.alloc(0);
    let isStarted = false;
    let inTransaction = false;
    let swallowing: string | undefined;
    let dropAtCommit = false;

    function fromClient(data: Buffer): void {
      unread = Buffer.concat([unread, data]);
      if (!isStarted) {
        const length = unread.length >= 4 ? unread.readInt32BE(0) : Number.POSITIVE_INFINITY;
        if (unread.length < length) {
          return;
        }
        backend!.write(unread.subarray(0, length));
        unread = unread.subarray(length);
        isStarted = true;
      }
      while (unread.length >= 5) {
        const length = 1 + unread.readInt32BE(1);
        if (unread.length < length) {
          return;
        }
        const message = unread.subarray(0, length);
        unread = unread.subarray(length);
        if (!pass(message)) {
          return;
        }
      }
    }

    /** @returns false when the connection is no more */
    function pass(message: Buffer): boolean {
      const type = String.fromCharCode(message[0]!);
      if (swallowing !== undefined) {
        // After an error, everything up to Sync is skipped.
        if (type === 'S') {
          answerError(swallowing);
          swallowing = undefined;
        }
        return true;
      }
      const sql = statementOf(type, message);
      if (sql !== undefined) {
        const isCommit = /^\s*commit/i.test(sql);
        const isRollback = /^\s*rollback/i.test(sql);
        const fault = isCommit || isRollback ? undefined : disturber.statement(sql);
        if (fault === 'killed') {
          close();
          return false;
        }
        if (fault) {
          const code = fault === 'deadlock' ? '40P01' : '40001';
          if (type === 'Q') {
            answerError(code);
          } else {
            swallowing = code;
          }
          return true;
        }
        dropAtCommit ||= isCommit && disturber.afterCommit();
        inTransaction = /^\s*begin/i.test(sql) || (inTransaction && !isCommit && !isRollback);
      }
      backend!.write(message);
      return true;
    }

    function answerError(code: string): void {
      client.write(errorResponse('ERROR', code, 'injected'));
      const state = inTransaction ? 'E' : 'I';
      client.write(Buffer.from([0x5a, 0, 0, 0, 5, state.charCodeAt(0)]));
    }

    function fromBackend(data: Buffer): void {
      if (dropAtCommit && data.includes('COMMIT\0')) {
        close();
        return;
      }
      client.write(data);
    }
  }

  let absence = Promise.resolve();
  const breakAll = () => {
    for (const socket of sockets) {
      socket.destroy();
    }
  };
  return {
    port,
    leave(ms) {
      absence = absence.then(async () => {
        const closed = new Promise((resolve) => server.close(resolve));
        breakAll();
        await closed;
        await new Promise((resolve) => setTimeout(resolve, ms));
        server = await listen(port);
      });
      return absence;
    },
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      breakAll();
      await closed;
    },
  };
}

/** The text of a simple query, or of one that is parsed. */
function statementOf(type: string, message: Buffer): string | undefined {
  if (type === 'Q') {
    return text(message, 5);
  }
  // Parse: the statement's name first.
  return type === 'P' ? text(message, message.indexOf(0, 5) + 1) : undefined;
}

function text(message: Buffer, from: number): string {
  const end = message.indexOf(0, from);
  return message.toString('utf8', from, end < 0 ? undefined : end);
}

function errorResponse(severity: string, code: string, message: string): Buffer {
  const fields = `S${severity}\0V${severity}\0C${code}\0M${message}\0\0`;
  const body = Buffer.from(fields, 'latin1');
  const header = Buffer.alloc(5);
  header.write('E', 0, 'latin1');
  header.writeInt32BE(4 + body.length, 1);
  return Buffer.concat([header, body]);
}
