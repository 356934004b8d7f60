import { setTimeout as sleep } from 'node:timers/promises';
import { InvokeCommand, type InvokeCommandOutput } from '@aws-sdk/client-lambda';
import { UserError } from '../cli/user-error.ts';
import type { Answers, Question } from '../lambdas/answer-operator/questions.ts';
import { MAX_CHANGES, PAGE_SIZE } from '../lambdas/answer-operator/questions.ts';
import { awsErrorDetails } from '../lambdas/shared/contract/errors.ts';
import type { Deployment } from './deployment.ts';

type Ask = Question['ask'];
type Of<Name extends Ask> = Extract<Question, { ask: Name }>;

/**
 * Asks the function inside the database's network.
 *
 * @throws UserError in one line when the database does not answer
 */
export async function ask<Name extends Ask>(
  deployment: Deployment,
  question: Of<Name>,
): Promise<Answers[Name]> {
  return (await invoke(deployment, deployment.outputs.OperatorFunctionName, question)) as Answers[Name];
}

/** Calls a function of the stack, and waits for its answer. */
export async function invoke(
  deployment: Deployment,
  functionName: string,
  request: object,
): Promise<unknown> {
  const command = new InvokeCommand({ FunctionName: functionName, Payload: JSON.stringify(request) });
  const { FunctionError: failed, Payload: payload } = await onceReady(deployment, command);
  const answer: unknown = JSON.parse(Buffer.from(payload ?? []).toString('utf8') || 'null');
  if (failed) {
    const { errorType, errorMessage } = answer as { errorType?: string; errorMessage?: string };
    throw new UserError(`The database did not answer: ${errorType}: ${errorMessage}`, 1);
  }
  return answer;
}

/** A function in a network that nobody called for weeks needs up to 90 s to be ready again. */
const READY_AFTER_MS = 180_000;
const NOT_READY = new Set([
  'ResourceNotReadyException',
  'CodeArtifactUserPendingException',
  'ENINotReadyException',
]);

async function onceReady(
  { lambda, isLocal }: Deployment,
  command: InvokeCommand,
): Promise<InvokeCommandOutput> {
  const deadline = performance.now() + READY_AFTER_MS;
  for (;;) {
    try {
      return await lambda.send(command);
    } catch (error) {
      if (!NOT_READY.has(awsErrorDetails(error).name) || performance.now() > deadline) {
        throw error;
      }
      await sleep(isLocal ? 100 : 5_000);
    }
  }
}

type Paged = 'events' | 'photos' | 'faces' | 'leaving';

/** All pages of an answer, one row at a time. */
export async function* askAll<Name extends Paged>(
  deployment: Deployment,
  question: Of<Name>,
): AsyncGenerator<Answers[Name][number]> {
  let after: string | undefined;
  for (;;) {
    const page = (await ask<Name>(deployment, {
      ...question,
      ...(after && { after }),
    })) as Answers[Name][number][];
    yield* page;
    if (page.length < PAGE_SIZE) {
      return;
    }
    const last = page.at(-1)!;
    after = 'id' in last ? last.id : last.rekognition_face_id;
  }
}

export async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const collected: Item[] = [];
  for await (const item of items) {
    collected.push(item);
  }
  return collected;
}

/** Splits what one question can change at most. */
export function chunksOf<Item>(items: readonly Item[], size = MAX_CHANGES): Item[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) =>
    items.slice(i * size, (i + 1) * size),
  );
}
