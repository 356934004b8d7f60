/** A stand-in for an AWS SDK client: answers commands by their class name and remembers what was asked. */
export interface FakeClient<Client> {
  client: Client;
  /** `[command, input]` of each call, in order. */
  calls: [command: string, input: Record<string, unknown>][];
}

type Handler = (input: Record<string, unknown>) => unknown;

export function fakeClient<Client>(handlers: Record<string, Handler>): FakeClient<Client> {
  const calls: FakeClient<Client>['calls'] = [];
  const client = {
    async send(command: { constructor: { name: string }; input: Record<string, unknown> }) {
      const name = command.constructor.name.replace(/Command$/, '');
      calls.push([name, command.input]);
      const handler = handlers[name];
      if (!handler) {
        throw new Error(`The test answers no ${name}`);
      }
      return handler(command.input);
    },
  };
  return { client: client as Client, calls };
}

/** An error as the SDK throws it. */
export function awsError(name: string, httpStatusCode = 400, message = `${name} said so`): Error {
  return Object.assign(new Error(message), { name, $metadata: { httpStatusCode, requestId: 'request-1' } });
}

/** What answers a command with such an error. */
export function failing(...error: Parameters<typeof awsError>): () => never {
  return () => {
    throw awsError(...error);
  };
}
