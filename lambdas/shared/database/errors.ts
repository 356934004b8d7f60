import {
  awsErrorDetails,
  type FailureName,
  failureKind,
  PipelineError,
  property,
} from '../contract/errors.ts';

/**
 * What of PostgreSQL's errors passes by itself: connection trouble (class 08, 57P0x), a server that is not a primary any more
 * (25006) or not sure what it did (25P02, 40002, 40003), conflicts between transactions (40001, 40P01, 55P03), an exhausted or
 * failing server (53, 58, XX), timeouts (57014, 25P03, 25P04).
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const PASSING_SQLSTATE = /^(08...|25006|25P0[234]|4000[123]|40P01|53...|55P03|57014|57P0[1235]|58...|XX...)$/;

/** Authentication, a database that is missing or was dropped, missing rights or tables: it needs an engineer. */
const SETUP_SQLSTATE = /^(28...|3D000|3F000|42...|57P04)$/;

/**
 * After these the server has done with the statement, or with its transaction, and is as it was; after everything else the
 * connection may lead to a server that is not a primary any more, or in a state of which nobody knows.
 */
const CONNECTION_IS_AS_BEFORE = /^(0A...|2[123]...|40001|40P01|42...|44000|55P03|57014|P0...)$/;

/** The poolers' own words for a login or a parameter that they will never take, under codes that mean passing trouble. */
const SETUP_OF_POOLER =
  /tenant or user not found|tenant\/user \S+ not found|no such (user|database)|unsupported startup parameter/i;

/** Node's codes for a connection that did not come about, or broke, and postgres.js's. */
const PASSING_CONNECTION_ERRORS = new Set([
  'CONNECT_TIMEOUT',
  'CONNECTION_CLOSED',
  'CONNECTION_ENDED',
  'CONNECTION_DESTROYED',
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EPIPE',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ERR_TLS_HANDSHAKE_TIMEOUT',
]);

/** What postgres.js says instead ends with an address that it does not know: `write CONNECT_TIMEOUT undefined:undefined`. */
const IN_WORDS: Readonly<Record<string, string>> = {
  CONNECT_TIMEOUT: 'the server did not answer in time',
  CONNECTION_CLOSED: 'the server closed the connection',
  CONNECTION_ENDED: 'the connection was ended before the statement',
  CONNECTION_DESTROYED: 'the connection was ended during the statement',
};

/** A certificate of an authority that is not trusted: https://nodejs.org/api/tls.html#x509-certificate-error-codes */
const UNTRUSTED_AUTHORITY = new Set([
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'CERT_UNTRUSTED',
  'CERT_SIGNATURE_FAILURE',
  'UNABLE_TO_DECRYPT_CERT_SIGNATURE',
  'INVALID_CA',
]);

/** A certificate for another host. */
const OTHER_HOST = new Set([
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'ERR_TLS_CERT_ALTNAME_FORMAT',
  'HOSTNAME_MISMATCH',
]);

/** A certificate that is out of date, taken back, or not made for a server. */
const BAD_CERTIFICATE = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'ERROR_IN_CERT_NOT_BEFORE_FIELD',
  'ERROR_IN_CERT_NOT_AFTER_FIELD',
  'CERT_CHAIN_TOO_LONG',
  'CERT_REJECTED',
  'CERT_REVOKED',
  'PATH_LENGTH_EXCEEDED',
  'INVALID_PURPOSE',
  'UNABLE_TO_GET_CRL',
  'UNABLE_TO_DECRYPT_CRL_SIGNATURE',
  'CRL_SIGNATURE_FAILURE',
  'CRL_NOT_YET_VALID',
  'CRL_HAS_EXPIRED',
  'ERROR_IN_CRL_LAST_UPDATE_FIELD',
  'ERROR_IN_CRL_NEXT_UPDATE_FIELD',
]);

/** No handshake came about: the server speaks no TLS, or none that Node takes. Node's and OpenSSL's own families of codes. */
const NO_HANDSHAKE = /^(EPROTO|ERR_(SSL|TLS|OSSL)_\w+)$/;

/** What to do about an error of TLS, or undefined for every other code. */
function tlsAdvice(code: string): string | undefined {
  if (UNTRUSTED_AUTHORITY.has(code)) {
    return "the server's certificate is signed by an authority that is not trusted: give the authority's certificate with databaseCaCertificate";
  }
  if (OTHER_HOST.has(code)) {
    return 'the certificate is for another host: the URL has to name the server as its certificate does';
  }
  if (BAD_CERTIFICATE.has(code)) {
    return "the server's certificate is not valid: whoever runs the server has to replace it";
  }
  return NO_HANDSHAKE.test(code)
    ? 'the server and this client agree on no TLS: turn it on there, version 1.2 or newer'
    : undefined;
}

/** Gives an error of postgres.js, PostgreSQL or TLS the name that the state machine routes by. */
export function databaseError(error: unknown): PipelineError {
  if (error instanceof PipelineError) {
    return error;
  }
  const code = codeOf(error);
  const message = IN_WORDS[code] ?? messageOf(error);
  const renamed = (name: FailureName, advice?: string) =>
    new PipelineError(name, `PostgreSQL ${code || 'error'}: ${message}${advice ? ` (${advice})` : ''}`, {
      cause: error,
    });
  if (SETUP_OF_POOLER.test(message)) {
    return renamed('DatabaseMisconfigured', 'the pooler in front of the database does not take this URL');
  }
  if (PASSING_CONNECTION_ERRORS.has(code) || PASSING_SQLSTATE.test(code)) {
    return renamed('DatabaseUnavailable');
  }
  const advice = tlsAdvice(code);
  if (advice !== undefined || SETUP_SQLSTATE.test(code)) {
    return renamed('DatabaseMisconfigured', advice);
  }
  return renamed('InternalError');
}

/**
 * Whether the connection can serve another invocation: after an error of our own, and after one with which the server
 * answered a statement and nothing but that. Everything else costs a new connection.
 */
export function isUsableAfter(error: unknown): boolean {
  return (
    (error instanceof PipelineError && failureKind(error.name).class !== 'database') ||
    (property(error, 'severity') === 'ERROR' && CONNECTION_IS_AS_BEFORE.test(codeOf(error)))
  );
}

/** Whether the connection is gone, or was never there: no answer of the server. */
export function isLostConnection(error: unknown): boolean {
  return PASSING_CONNECTION_ERRORS.has(codeOf(error));
}

/** Of the error, or of what it wraps: the migrations' library says which migration failed, and has no code of its own. */
function codeOf(error: unknown): string {
  const codes = [property(error, 'code'), property(property(error, 'cause'), 'code')];
  return codes.find((code) => typeof code === 'string') ?? '';
}

/** A host with several addresses fails with one error for each, and no message of its own. */
function messageOf(error: unknown): string {
  const { message } = awsErrorDetails(error);
  const each = property(error, 'errors');
  return message === '' && Array.isArray(each)
    ? each.map((one: unknown) => awsErrorDetails(one).message).join(', ')
    : message;
}
