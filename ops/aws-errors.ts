import { UserError } from '../cli/user-error.ts';
import { awsErrorDetails } from '../lambdas/shared/contract/errors.ts';

export const SIGN_IN = new Set([
  'CredentialsProviderError',
  'TokenProviderError',
  'ExpiredToken',
  'ExpiredTokenException',
  'UnrecognizedClientException',
  'InvalidClientTokenId',
  'InvalidSignatureException',
  'SignatureDoesNotMatch',
]);

export const FORBIDDEN = new Set([
  'AccessDenied',
  'AccessDeniedException',
  'Forbidden',
  'UnauthorizedOperation',
]);

export const UNREACHABLE = new Set(['ENOTFOUND', 'EAI_AGAIN', 'ECONNREFUSED', 'ETIMEDOUT', 'ENETUNREACH']);

/** Runs a command; what AWS says about credentials and rights becomes one line that tells what to do. */
export async function withReadableErrors<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    const { name, message } = awsErrorDetails(error);
    if (SIGN_IN.has(name)) {
      throw new UserError(
        `Nobody is signed in to AWS (${name}): sign in (aws sso login), or set AWS_PROFILE; --local operates the run of this machine.`,
        1,
      );
    }
    const { code } = (error ?? {}) as NodeJS.ErrnoException;
    if (UNREACHABLE.has(code ?? '') || name === 'TimeoutError') {
      throw new UserError(`AWS cannot be reached from here: ${message}`, 1);
    }
    if (FORBIDDEN.has(name)) {
      throw new UserError(`AWS does not allow this: ${message.replace(/\s+/g, ' ')}`, 1);
    }
    throw error;
  }
}
