import fc from 'fast-check';
import { PipelineError } from '../../../../../lambdas/shared/contract/errors.ts';
import { parseDatabaseSecret, parseDatabaseUrl } from '../../../../../lambdas/shared/database/url.ts';
import { anyCharacter } from '../../../../support/any-text.ts';

/** What is refused, as its one line; undefined where the URL is taken. */
function refusal(url: string): string | undefined {
  try {
    parseDatabaseUrl(url);
  } catch (error) {
    expect(error).toBeInstanceOf(PipelineError);
    expect((error as PipelineError).name).toBe('DatabaseMisconfigured');
    expect((error as PipelineError).message).not.toContain('\n');
    return (error as PipelineError).message;
  }
  return undefined;
}

/** Any text that PostgreSQL could take for a password: no NUL, and nothing that UTF-8 cannot say. */
const password = fc
  .string({ unit: anyCharacter, minLength: 1, maxLength: 20 })
  .filter((text) => !text.includes('\0') && text.isWellFormed());

/** Passwords as generators make them, with what URLs are sensitive to. */
const awkward = fc.string({
  unit: fc.constantFrom(...'aZ9:@/?#%&=+[]!$ \\"\'<>^|~,;.-_'),
  minLength: 1,
  maxLength: 20,
});

test('an encoded password arrives as it is, whatever is in it', () => {
  fc.assert(
    fc.property(password, (text) => {
      const url = `postgresql://app:${encodeURIComponent(text)}@db.example.org:6543/faces?sslmode=require`;
      expect(parseDatabaseUrl(url)).toMatchObject({
        hosts: [{ host: 'db.example.org', port: 6543 }],
        user: 'app',
        password: text,
        database: 'faces',
      });
    }),
  );
});

test('a raw password is understood or refused: no part of it is ever taken for the host, or shown', () => {
  fc.assert(
    fc.property(fc.oneof(password, awkward), (text) => {
      const url = `postgresql://app:${text}@db.example.org:6543/faces`;
      const said = refusal(url);
      if (said === undefined) {
        const target = parseDatabaseUrl(url);
        expect(target.hosts).toEqual([{ host: 'db.example.org', port: 6543 }]);
        expect(target.database).toBe('faces');
        // But for what looks encoded, which nobody can tell from what is.
        expect(/%[\da-f]{2}/i.test(text) || target.password === text).toBe(true);
      } else {
        expect(text).toMatch(/[/?#%]/);
        // The whole line is ours: it is one of a few, whatever the password is.
        expect(said).toMatch(/^The URL in the database secret cannot be used: (it|its) [\w\s/?#@%,:.-]+$/);
      }
    }),
  );
});

test.each([
  ['100%sure', /its password has a % that encodes nothing: write %25/],
  ['a%zz', /write %25/],
  ['a%ff', /write %25/],
  ['a%00b', /write %25/],
  ['p#ss', /%23/],
  ['p/ss', /%2F/],
  // Without care: host "app", port 12, database "3@db…".
  ['12/3', /%2F/],
  ['p?ss', /%3F/],
  ['a@b#c', /%23/],
  ['a@b/c', /%2F/],
  ['a@b?c', /%3F/],
  ['a@b?c=d', /%3F/],
])('the raw password %s is told how to be written', (text, advice) => {
  const said = refusal(`postgresql://app:${text}@db.example.org/faces`);
  expect(said).toMatch(advice);
  expect(said).not.toContain(text);
});

test.each([
  ['', /does not have the form/],
  ['mysql://a:b@c/d', /does not have the form/],
  ['host=db user=app', /does not have the form/],
  ['postgresql://db.example.org/faces', /names no user/],
  ['postgresql://app:x@/faces', /names no host/],
  ['postgresql://app:x@%2Fvar%2Frun/faces', /names no host/],
  ['postgresql://app:x@db example/faces', /names no host/],
  ['postgresql://app:x@db:99999/faces', /not a number from 1 to 65535/],
  ['postgresql://app:x@db:port/faces', /not a number from 1 to 65535/],
  ['postgresql://app:x@db/faces?sslmode', /without name=value/],
  ['postgresql://app:x@db/faces?target_session_attrs=read-only', /takes no writes/],
])('%s is refused in one line', (url, expected) => {
  expect(refusal(url)).toMatch(expected);
});

/** Providers' own forms: what each of them means. */
test.each([
  [
    'Neon',
    'postgresql://app:x@ep-a-1-pooler.us-east-2.aws.neon.tech/neondb?sslmode=require&channel_binding=require',
    { hosts: [{ host: 'ep-a-1-pooler.us-east-2.aws.neon.tech', port: 5432 }], leftOut: ['channel_binding'] },
  ],
  [
    'Neon for old clients',
    'postgres://app:x@db.neon.tech/neondb?options=endpoint%3Dep-a-1&sslmode=verify-full',
    { startup: { options: 'endpoint=ep-a-1' }, leftOut: [] },
  ],
  [
    'Supabase',
    'postgresql://postgres.abcd:x@aws-0-eu-west-1.pooler.supabase.com:6543/postgres?pgbouncer=true',
    {
      user: 'postgres.abcd',
      hosts: [{ host: 'aws-0-eu-west-1.pooler.supabase.com', port: 6543 }],
      leftOut: ['pgbouncer'],
    },
  ],
  [
    'Prisma',
    'postgresql://app:x@db:5432/faces?schema=public&connection_limit=5&sslaccept=strict',
    { leftOut: ['schema', 'connection_limit'] },
  ],
  [
    'libpq',
    'postgresql:///faces?host=db.example.org&port=5433&user=app&password=x%2Fy&sslrootcert=system&gssencmode=disable',
    {
      hosts: [{ host: 'db.example.org', port: 5433 }],
      user: 'app',
      password: 'x/y',
      database: 'faces',
      leftOut: ['sslrootcert', 'gssencmode'],
    },
  ],
  [
    'libpq with several hosts',
    'postgresql://app:x@a:5432,[2001:db8::1]:5433,c/faces?target_session_attrs=read-write',
    {
      hosts: [
        { host: 'a', port: 5432 },
        { host: '2001:db8::1', port: 5433 },
        { host: 'c', port: 5432 },
      ],
    },
  ],
  ['no database', 'postgresql://app@db', { database: 'app', password: undefined }],
  ['an address', 'postgresql://app:x@10.0.0.7/faces\n', { hosts: [{ host: '10.0.0.7', port: 5432 }] }],
  ['direct TLS', 'postgresql://app:x@db/faces?sslnegotiation=direct', { directTls: true, leftOut: [] }],
  ['TLS 1.3', 'postgresql://app:x@db/faces?ssl_min_protocol_version=TLSv1.3', { minTlsVersion: 'TLSv1.3' }],
  ['TLS 1.0', 'postgresql://app:x@db/faces?ssl_min_protocol_version=TLSv1', { minTlsVersion: 'TLSv1.2' }],
])('%s: what is meant is taken, the rest left out and named', (_, url, expected) => {
  expect(parseDatabaseUrl(url)).toMatchObject(expected);
});

test.each([
  ['sslmode', ['disable', 'allow', 'prefer', 'no-verify', 'nonsense', 'DISABLE']],
  ['SSLMODE', ['disable']],
  ['ssl', ['false', '0', 'no-verify', '{"rejectUnauthorized":false}']],
  ['requiressl', ['0']],
  ['sslaccept', ['accept_invalid_certs']],
  ['ssl_max_protocol_version', ['TLSv1', 'TLSv1.1']],
  ['sslcrl', ['list.pem']],
])('%s that would weaken TLS is refused by its name', (name, values) => {
  for (const value of values) {
    const said = refusal(
      `postgresql://app:x@db/faces?channel_binding=require&${name}=${encodeURIComponent(value)}`,
    );
    expect(said).toContain(`${name.toLowerCase()} would let it talk to a server that is not verified`);
  }
});

test('whatever stands behind the question mark, the server hears of two names only', () => {
  const parameters = fc.dictionary(
    fc.oneof(fc.constantFrom('application_name', 'options', 'search_path', 'statement_timeout'), fc.string()),
    fc.string({ maxLength: 10 }),
  );
  fc.assert(
    fc.property(parameters, (given) => {
      const url = `postgresql://app:x@db/faces?${new URLSearchParams(given)}`;
      if (refusal(url) === undefined) {
        const { startup } = parseDatabaseUrl(url);
        expect(
          Object.keys(startup).filter((name) => !['application_name', 'options'].includes(name)),
        ).toEqual([]);
        expect(JSON.stringify(startup)).not.toContain('\\u0000');
      }
    }),
  );
});

describe('a secret as RDS writes it', () => {
  const secret = { engine: 'postgres', host: 'db.internal', port: 5433, username: 'app', dbname: 'faces' };

  test('leads where its URL would, whatever the password', () => {
    fc.assert(
      fc.property(password, (text) => {
        expect(parseDatabaseSecret(JSON.stringify({ ...secret, password: text }))).toMatchObject({
          hosts: [{ host: 'db.internal', port: 5433 }],
          user: 'app',
          password: text,
          database: 'faces',
        });
      }),
    );
  });

  test.each([
    ['{', /begins like JSON and is none/],
    [JSON.stringify({ ...secret, host: undefined, password: 'p' }), /its JSON has no host/],
    [JSON.stringify(secret), /its JSON has no password/],
    [JSON.stringify({ ...secret, password: 'p', engine: 'mysql' }), /is not PostgreSQL/],
  ])('%s is refused in one line', (text, line) => {
    expect(() => parseDatabaseSecret(text)).toThrow(line);
  });

  test('a URL is a URL', () => {
    expect(parseDatabaseSecret('postgresql://a:b@c:1/d')).toEqual(parseDatabaseUrl('postgresql://a:b@c:1/d'));
  });
});
