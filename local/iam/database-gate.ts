import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls, createSecureContext, type SecureContext, TLSSocket } from 'node:tls';

/** https://www.postgresql.org/docs/current/protocol-message-formats.html */
const SSL_REQUEST = 80_877_103;
const GSS_REQUEST = 80_877_104;
const PROTOCOL_3_0 = 196_608;
const CLEARTEXT_PASSWORD = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]);

export interface DatabaseGateOptions {
  /** Folder with `server.crt` and `server.key`, which has to be there when the first client comes. */
  certificates: string;
  /** PEM file of the authority that signed them, asked for when the first client comes. */
  certificateAuthority(): string;
  /** Where the server listens on localhost. */
  port: number;
  /** Whether this password lets this user in. */
  admits(user: string, password: string): Promise<boolean>;
}

export interface DatabaseGate {
  port: number;
  stop(): Promise<void>;
}

/**
 * Stands before PostgreSQL and asks for a password, which the server itself does not check: an IAM token.
 * https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
 */
export async function startDatabaseGate(options: DatabaseGateOptions): Promise<DatabaseGate> {
  const sockets = new Set<Socket>();
  let context: SecureContext | undefined;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    context ??= createSecureContext({
      cert: readFileSync(join(options.certificates, 'server.crt')),
      key: readFileSync(join(options.certificates, 'server.key')),
    });
    void admit(socket, context, options).catch(() => socket.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, 'localhost', resolve);
  });
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

async function admit(socket: Socket, context: SecureContext, options: DatabaseGateOptions): Promise<void> {
  let request = await readMessage(socket, 0);
  while (request.readInt32BE(4) === GSS_REQUEST) {
    socket.write('N');
    request = await readMessage(socket, 0);
  }
  if (request.readInt32BE(4) !== SSL_REQUEST) {
    socket.end(errorMessage('28000', 'pg_hba.conf rejects connection: no encryption'));
    return;
  }
  socket.write('S');
  // What comes in pieces goes on in pieces, each of which would wait 40 ms until the one before it is acknowledged.
  socket.setNoDelay(true);
  const client = new TLSSocket(socket, { isServer: true, secureContext: context });
  client.on('error', () => socket.destroy());
  const startup = await readMessage(client, 0);
  if (startup.readInt32BE(4) !== PROTOCOL_3_0) {
    client.destroy();
    return;
  }
  const fields = startup.subarray(8).toString('utf8').split('\0');
  const user = fields[fields.indexOf('user') + 1] ?? '';
  client.write(CLEARTEXT_PASSWORD);
  const password = (await readMessage(client, 1)).subarray(5, -1).toString('utf8');
  if (!(await options.admits(user, password))) {
    client.end(errorMessage('28000', `PAM authentication failed for user "${user}"`));
    return;
  }
  let upstream: TLSSocket;
  try {
    upstream = await connectToServer(options);
  } catch (error) {
    // Without a gate the client would have heard this itself; a connection that only closes is tried for ever.
    const { code, message } = error as NodeJS.ErrnoException;
    client.end(
      errorMessage('08006', `connection to server at port ${options.port} failed: ${code ?? message}`),
    );
    return;
  }
  upstream.write(startup);
  client.pipe(upstream).pipe(client);
  for (const [one, other] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    one.on('error', () => other.destroy());
    one.on('close', () => other.destroy());
  }
}

async function connectToServer({ port, certificateAuthority }: DatabaseGateOptions): Promise<TLSSocket> {
  const plain = connect({ port, host: 'localhost', noDelay: true });
  await once(plain, 'connect');
  const request = Buffer.alloc(8);
  request.writeInt32BE(8, 0);
  request.writeInt32BE(SSL_REQUEST, 4);
  plain.write(request);
  const agreed = await read(plain, 1);
  if (agreed.toString() !== 'S') {
    plain.destroy();
    throw new Error('The server speaks no TLS');
  }
  const secure = connectTls({
    socket: plain,
    servername: 'localhost',
    ca: readFileSync(certificateAuthority()),
  });
  await once(secure, 'secureConnect');
  return secure;
}

/** A message whose length stands after so many bytes of type. */
async function readMessage(socket: Socket, typeBytes: number): Promise<Buffer> {
  const head = await read(socket, typeBytes + 4);
  const length = head.readInt32BE(typeBytes);
  if (length < 4 || length > 65_536) {
    throw new Error('No message of PostgreSQL');
  }
  return length === 4 ? head : Buffer.concat([head, await read(socket, length - 4)]);
}

async function read(socket: Socket, bytes: number): Promise<Buffer> {
  for (;;) {
    const chunk = socket.read(bytes) as Buffer | null;
    if (chunk?.length === bytes) {
      return chunk;
    }
    if (chunk || socket.readableEnded || socket.destroyed) {
      throw new Error('The connection ended');
    }
    await once(socket, 'readable');
  }
}

function once(socket: Socket, event: 'connect' | 'secureConnect' | 'readable'): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: Error) => {
      socket.off(event, ready).off('error', done).off('close', closed);
      if (error) {
        reject(error);
      } else {
        resolve();
      }
    };
    const ready = () => done();
    const closed = () => done(new Error('The connection was closed'));
    socket.on(event, ready).on('error', done).on('close', closed);
  });
}

/** https://www.postgresql.org/docs/current/protocol-error-fields.html */
function errorMessage(code: string, message: string): Buffer {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C${code}\0M${message}\0\0`);
  const head = Buffer.alloc(5);
  head.write('E');
  head.writeInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, fields]);
}
