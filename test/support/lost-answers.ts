import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';

/** Has answers of DynamoDB get lost after it has done what it was asked for, as when a connection breaks: the SDK asks again. */
export function loseAnswers(client: DynamoDBClient, isLost: () => boolean): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      const answer = await next(args);
      if (isLost()) {
        throw Object.assign(new Error('socket hang up'), { name: 'TimeoutError', code: 'ECONNRESET' });
      }
      return answer;
    },
    // Where a request goes out, so that each of the SDK's own tries comes by.
    { step: 'deserialize', priority: 'low' },
  );
}
