import { PipelineError } from '../../../../../lambdas/shared/contract/errors.ts';
import {
  databaseError,
  isLostConnection,
  isUsableAfter,
} from '../../../../../lambdas/shared/database/errors.ts';

const coded = (code: unknown, message = 'said so', rest: object = {}) =>
  Object.assign(new Error(message), { code }, rest);
const nameOf = (error: unknown) => databaseError(error).name;

test.each<[code: string, name: string]>([
  ...['08006', '25006', '25P02', '25P03', '25P04', '40001', '40002', '40003', '40P01', '53300', '55P03'].map(
    (code): [string, string] => [code, 'DatabaseUnavailable'],
  ),
  ...['57014', '57P01', '57P02', '57P03', '57P05', '58030', 'XX000'].map((code): [string, string] => [
    code,
    'DatabaseUnavailable',
  ]),
  ...['28P01', '28000', '3D000', '3F000', '42501', '42P01', '57P04'].map((code): [string, string] => [
    code,
    'DatabaseMisconfigured',
  ]),
  ...['23505', '22021', 'P0001', '0A000', '25001', '40000', '57P06'].map((code): [string, string] => [
    code,
    'InternalError',
  ]),
  // Only whole codes are codes.
  ...['x08006', '08006x', 'x40001', '40001x', 'x28P01', '28P01x', 'x57P04', '57P04x'].map(
    (code): [string, string] => [code, 'InternalError'],
  ),
  ['CONNECT_TIMEOUT', 'DatabaseUnavailable'],
  ['ECONNRESET', 'DatabaseUnavailable'],
  ['EPROTO', 'DatabaseMisconfigured'],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'DatabaseMisconfigured'],
  ['ERR_TLS_DH_PARAM_SIZE', 'DatabaseMisconfigured'],
  ['ERR_OSSL_UNSUPPORTED', 'DatabaseMisconfigured'],
  ['EPROTOX', 'InternalError'],
  ['XEPROTO', 'InternalError'],
  ['ERR_TLS_HANDSHAKE_TIMEOUT', 'DatabaseUnavailable'],
])('%s is %s', (code, name) => {
  const error = databaseError(coded(code));
  expect(error).toMatchObject({ name, message: expect.stringContaining(`PostgreSQL ${code}: `) });
  expect(error.cause).toBeInstanceOf(Error);
});

test.each([
  ['SELF_SIGNED_CERT_IN_CHAIN', /give the authority's certificate with databaseCaCertificate\)$/],
  ['ERR_TLS_CERT_ALTNAME_INVALID', /the URL has to name the server as its certificate does\)$/],
  ['CERT_HAS_EXPIRED', /whoever runs the server has to replace it\)$/],
  ['EPROTO', /turn it on there, version 1\.2 or newer\)$/],
])('%s is said with what to do', (code, advice) => {
  expect(databaseError(coded(code))).toMatchObject({
    name: 'DatabaseMisconfigured',
    message: expect.stringMatching(advice),
  });
});

test.each([
  ['Tenant or user not found', 'XX000'],
  ['tenant/user postgres.abc not found', 'XX000'],
  ['no such database: app', '08P01'],
  ['no such user: app', '08P01'],
  ['unsupported startup parameter: search_path', '08P01'],
])('“%s” of a pooler is for good, whatever its code', (message, code) => {
  expect(databaseError(coded(code, message))).toMatchObject({
    name: 'DatabaseMisconfigured',
    message: `PostgreSQL ${code}: ${message} (the pooler in front of the database does not take this URL)`,
  });
});

test('what is ours already stays, and what has no code has no name of its own', () => {
  const ours = new PipelineError('DatabaseUnavailable', 'x');
  expect(databaseError(ours)).toBe(ours);
  expect(databaseError(new TypeError('x is not a function'))).toMatchObject({
    name: 'InternalError',
    message: 'PostgreSQL error: x is not a function',
  });
  expect(nameOf(coded(42, 'x'))).toBe('InternalError');
});

test('the code may be that of what is wrapped', () => {
  const wrapped = new Error('Migration 0003 failed', { cause: coded('42501') });
  expect(databaseError(wrapped)).toMatchObject({
    name: 'DatabaseMisconfigured',
    message: 'PostgreSQL 42501: Migration 0003 failed',
  });
  expect(nameOf(coded('57014', 'x', { cause: coded('42501') }))).toBe('DatabaseUnavailable');
});

test('what postgres.js says of an address that it does not know is said in words', () => {
  expect(
    databaseError(coded('CONNECTION_CLOSED', 'write CONNECTION_CLOSED undefined:undefined')).message,
  ).toBe('PostgreSQL CONNECTION_CLOSED: the server closed the connection');
});

test('a host of several addresses says what each of them said', () => {
  const errors = [new Error('::1 refused'), new Error('127.0.0.1 refused')];
  expect(databaseError(Object.assign(new AggregateError(errors), { code: 'ECONNREFUSED' })).message).toBe(
    'PostgreSQL ECONNREFUSED: ::1 refused, 127.0.0.1 refused',
  );
  expect(databaseError(coded('X', '', { errors: 'none' })).message).toBe('PostgreSQL X: ');
  expect(databaseError(coded('X', 'as a whole', { errors })).message).toBe('PostgreSQL X: as a whole');
});

test.each<[code: string, usable: boolean]>([
  ...['0A000', '21000', '22021', '23505', '40001', '40P01', '42601', '44000', '55P03', '57014', 'P0001'].map(
    (code): [string, boolean] => [code, true],
  ),
  ...[
    '08006',
    '25006',
    '25P02',
    '40003',
    '53300',
    '57P01',
    'XX000',
    'x40001',
    '40001x',
    'xP0001',
    '0A000x',
  ].map((code): [string, boolean] => [code, false]),
])('after %s the connection can serve another invocation: %s', (code, usable) => {
  expect(isUsableAfter(coded(code, 'x', { severity: 'ERROR' }))).toBe(usable);
  expect(isUsableAfter(coded(code, 'x', { severity: 'FATAL' }))).toBe(false);
  expect(isUsableAfter(coded(code))).toBe(false);
});

test('after an error of our own it can, unless that is the database’s', () => {
  expect([
    isUsableAfter(new PipelineError('PhotoIdTaken', 'x')),
    isUsableAfter(new PipelineError('DatabaseUnavailable', 'x')),
    isUsableAfter(new Error('x')),
  ]).toEqual([true, false, false]);
});

test('a connection is lost where no server answered', () => {
  expect(
    ['ECONNRESET', 'CONNECTION_ENDED', '57P01', 'EPROTO'].map((code) => isLostConnection(coded(code))),
  ).toEqual([true, true, false, false]);
});
