import { setTimeout as sleep } from 'node:timers/promises';
import { DescribeExecutionCommand, StartExecutionCommand } from '@aws-sdk/client-sfn';
import { UserError } from '../cli/user-error.ts';
import type { EraseInput, Receipt } from '../lambdas/shared/erasure/contract.ts';
import type { Deployment } from './deployment.ts';
import { table } from './table.ts';

/** @returns the execution's ARN */
export async function startErasure({ states, outputs }: Deployment, input: EraseInput): Promise<string> {
  const { executionArn } = await states.send(
    new StartExecutionCommand({
      stateMachineArn: outputs.EraseFacesStateMachineArn,
      input: JSON.stringify(input),
    }),
  );
  return executionArn!;
}

/**
 * Waits for the end of an erasure.
 *
 * @throws UserError when it failed
 */
export async function waitForReceipts(
  { states, isLocal, console: link }: Deployment,
  executionArn: string,
): Promise<Receipt[]> {
  for (;;) {
    const { status, output, error, cause } = await states.send(
      new DescribeExecutionCommand({ executionArn }),
    );
    if (status === 'SUCCEEDED') {
      return (JSON.parse(output!) as { receipts: Receipt[] }).receipts;
    }
    if (status !== 'RUNNING') {
      throw new UserError(
        `The erasure ended ${status}: ${error ?? ''} ${cause ?? ''} (${link?.(executionArn) ?? executionArn})`,
        1,
      );
    }
    await sleep(isLocal ? 100 : 2_000);
  }
}

/** One line for each receipt; exit code 1 while one of them is not finished. */
export function receiptLines(
  receipts: readonly Receipt[],
  columns: number | undefined,
): { lines: string[]; exitCode: number } {
  const open = receipts.filter(({ finished_at }) => finished_at === null);
  return {
    lines: [
      ...table(
        [
          ['erased', 'why', 'photos', 'faces', 'responses', 'receipt'],
          ...receipts.map(({ finished_at, reason, photos, faces, results, erasure_id }) => [
            finished_at ?? 'not yet',
            reason,
            photos,
            faces,
            results,
            erasure_id,
          ]),
        ],
        { columns },
      ),
      ...(open.length > 0
        ? ['What is not erased yet is tried again with the next erasure, the daily one at the latest.']
        : []),
    ],
    exitCode: open.length > 0 ? 1 : 0,
  };
}
