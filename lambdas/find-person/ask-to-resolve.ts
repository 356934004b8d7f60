import { InvokeCommand, type LambdaClient } from '@aws-sdk/client-lambda';
import { describeAwsError, isFailureName, PipelineError } from '../shared/contract/errors.ts';
import type { ResolvedFaces, ResolveFacesRequest } from '../shared/contract/search.ts';
import { lambdaError } from '../shared/runtime/aws-errors.ts';

/**
 * Calls resolve-faces and waits for its answer. What it throws is thrown here under the same name.
 *
 * @param signal gives up waiting
 * @throws PipelineError the errors of resolve-faces; `AccessDenied`, `MissingConfiguration`, `DatabaseUnavailable` where it
 *   could not be called
 */
export function askToResolve(
  lambda: LambdaClient,
  functionName: string,
): (request: ResolveFacesRequest, signal?: AbortSignal) => Promise<ResolvedFaces> {
  return async (request, signal) => {
    const answer = await lambda
      .send(new InvokeCommand({ FunctionName: functionName, Payload: JSON.stringify(request) }), {
        ...(signal && { abortSignal: signal }),
      })
      .catch((error: unknown) => {
        throw signal?.aborted
          ? new PipelineError('DatabaseUnavailable', 'resolve-faces did not answer in time')
          : lambdaError(error);
      });
    const payload: unknown = JSON.parse(Buffer.from(answer.Payload ?? []).toString('utf8') || 'null');
    if (answer.FunctionError) {
      const { errorType = '', errorMessage = '' } = (payload ?? {}) as {
        errorType?: string;
        errorMessage?: string;
      };
      const message = describeAwsError('resolve-faces', { name: errorType, message: errorMessage });
      // Also a function that ended or ran out of time: most often the database did not answer it.
      throw new PipelineError(isFailureName(errorType) ? errorType : 'DatabaseUnavailable', message);
    }
    return payload as ResolvedFaces;
  };
}
