import postgres from 'postgres';
import { answerOperator } from '../lambdas/answer-operator/answer-operator.ts';
import { questionSchema } from '../lambdas/answer-operator/questions.ts';
import { DEFAULT_SCHEMA } from '../lambdas/shared/contract/names.ts';
import { parseRequest, skipIndexedRequestSchema } from '../lambdas/shared/contract/payloads.ts';
import { databaseError } from '../lambdas/shared/database/errors.ts';
import { skipIndexed } from '../lambdas/skip-indexed/skip-indexed.ts';
import type { RunningCloud } from '../local/running-cloud.ts';

/** What a later version's statements meet in an earlier one's tables, and the other way round: a table, column or schema is missing. */
const OTHER_VERSION = /\b(42P01|42703|42883|3F000)\b/;

const silent = { info() {}, warn() {}, error() {} } as never;

/**
 * What the functions that look would answer about a run that is not up, by their own cores: a process for each of them takes
 * longer than all of the looking. The connection reads only, so that nothing that looks can change what is there.
 *
 * @returns undefined for a function that does more than look
 */
export function answerFrom(
  { databaseUrl, outputs }: Pick<RunningCloud, 'databaseUrl' | 'outputs'>,
  functionName: string,
  request: unknown,
): Promise<unknown> | undefined {
  const deps = {
    telemetry: { logger: silent },
    withDatabase: <Result>(work: (sql: postgres.Sql) => Promise<Result>) => readOnly(databaseUrl, work),
  };
  switch (functionName) {
    case outputs.OperatorFunctionName:
      return answerOperator(deps, parseRequest(questionSchema, request));
    case outputs.SkipIndexedFunctionName:
      return skipIndexed(deps, parseRequest(skipIndexedRequestSchema, request));
    default:
      return undefined;
  }
}

async function readOnly<Result>(url: string, work: (sql: postgres.Sql) => Promise<Result>): Promise<Result> {
  const sql = postgres(url, {
    max: 1,
    prepare: false,
    fetch_types: false,
    onnotice: () => {},
    connection: { search_path: DEFAULT_SCHEMA, default_transaction_read_only: true },
  });
  try {
    return await work(sql);
  } catch (error) {
    const failure = databaseError(error);
    if (OTHER_VERSION.test(failure.message)) {
      failure.message = `what is stored is another version's (${failure.message}); npm run local:up brings it up to date`;
    }
    throw failure;
  } finally {
    await sql.end({ timeout: 1 });
  }
}
