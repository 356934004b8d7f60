/** What each part of a connection URL means, one at a time. */
import {
  type DatabaseTarget,
  parseDatabaseSecret,
  parseDatabaseUrl,
} from '../../../../../lambdas/shared/database/url.ts';

const plain: DatabaseTarget = {
  hosts: [{ host: 'db.example.org', port: 5432 }],
  user: 'app',
  password: 'secret',
  database: 'photos',
  startup: {},
  directTls: false,
  minTlsVersion: 'TLSv1.2',
  leftOut: [],
};
const URL = 'postgresql://app:secret@db.example.org/photos';
const why = (text: string, parse: (text: string) => unknown = parseDatabaseUrl) => {
  try {
    parse(text);
    return undefined;
  } catch (error) {
    const { name, message } = error as Error;
    expect(name).toBe('DatabaseMisconfigured');
    const said = /^The URL in the database secret cannot be used: (.*)$/.exec(message);
    return said?.[1];
  }
};

test.each<[url: string, meant: Partial<DatabaseTarget>]>([
  [URL, {}],
  [` ${URL}\n`, {}],
  [URL.replace('postgresql', 'postgres'), {}],
  ['postgresql://app:secret@db.example.org', { database: 'app' }],
  ['postgresql://app:secret@db.example.org/', { database: 'app' }],
  ['postgresql://app@db.example.org/photos', { password: undefined }],
  ['postgresql://app:@db.example.org/photos', { password: undefined }],
  ['postgresql://app:a:b@db.example.org/photos', { password: 'a:b' }],
  ['postgresql://app:a@b@db.example.org/photos', { password: 'a@b' }],
  ['postgresql://db.example.org/photos?user=app&password=secret', {}],
  ['postgresql://x:y@z/w?user=app&password=secret&host=db.example.org&dbname=photos', {}],
  [`${URL}?port=6000`, { hosts: [{ host: 'db.example.org', port: 6000 }] }],
  ['postgresql://app:secret@db.example.org:6000/photos', { hosts: [{ host: 'db.example.org', port: 6000 }] }],
  [
    'postgresql://app:secret@a:1,b:2,c/photos?port=8,9',
    {
      hosts: [
        { host: 'a', port: 1 },
        { host: 'b', port: 2 },
        { host: 'c', port: 8 },
      ],
    },
  ],
  [
    'postgresql://app:secret@x/photos?host=a,b&port=8,9',
    {
      hosts: [
        { host: 'a', port: 8 },
        { host: 'b', port: 9 },
      ],
    },
  ],
  ['postgresql://app:secret@[2001:db8::1]:6000/photos', { hosts: [{ host: '2001:db8::1', port: 6000 }] }],
  ['postgresql://app:secret@[::1]/photos', { hosts: [{ host: '::1', port: 5432 }] }],
  [`${URL}?host=2001:db8::1`, { hosts: [{ host: '2001:db8::1', port: 5432 }] }],
  ['postgresql://app:secret@10.0.0.1:65535/photos', { hosts: [{ host: '10.0.0.1', port: 65_535 }] }],
  ['postgresql://app:secret@_a.b-c.D9./photos', { hosts: [{ host: '_a.b-c.D9.', port: 5432 }] }],
  ['postgresql://app:secret@a:1/photos', { hosts: [{ host: 'a', port: 1 }] }],
  [
    `${URL}?application_name=gallery&options=project%3Dx`,
    { startup: { application_name: 'gallery', options: 'project=x' } },
  ],
  [`${URL}?application_name=gallery`, { startup: { application_name: 'gallery' } }],
  [`${URL}?sslnegotiation=direct`, { directTls: true }],
  [`${URL}?sslnegotiation=postgres`, {}],
  [`${URL}?ssl_min_protocol_version=tlsv1.3`, { minTlsVersion: 'TLSv1.3' }],
  [`${URL}?ssl_min_protocol_version=TLSv1.2`, {}],
  [`${URL}?ssl_min_protocol_version=xTLSv1.3`, {}],
  [`${URL}?ssl_min_protocol_version=TLSv1.3x`, {}],
  [`${URL}?pgbouncer=true&Schema=public&`, { leftOut: ['pgbouncer', 'schema'] }],
  [`${URL}?sslmode=require&SSLMODE=verify-full`, {}],
  [`${URL}?sslmode=verify-ca&ssl=true&requiressl=1&sslaccept=Strict&rejectunauthorized=true`, {}],
  [`${URL}?ssl_max_protocol_version=tlsv1.2&sslmode=Require`, {}],
  ...['any', 'read-write', 'primary', 'prefer-standby'].map((of): [string, object] => [
    `${URL}?target_session_attrs=${of}`,
    {},
  ]),
])('%j', (url, meant) => {
  expect(parseDatabaseUrl(url)).toEqual({ ...plain, ...meant });
});

describe('what would weaken TLS is refused by its name', () => {
  test.each([
    ...['disable', 'allow', 'prefer', 'no-verify', 'x', ''].map((mode) => `sslmode=${mode}`),
    ...['0', 'false', 'off', 'no', 'disable', 'disabled', 'OFF', 'prefer', 'allow', 'no-verify'].map(
      (ssl) => `ssl=${ssl}`,
    ),
    'ssl={"rejectUnauthorized":false}',
    'requiressl=0',
    'sslaccept=accept_invalid_certs',
    'rejectunauthorized=false',
    'ssl_max_protocol_version=TLSv1.1',
    'ssl_max_protocol_version=xTLSv1.2',
    'ssl_max_protocol_version=TLSv1.2x',
    'sslcrl=file',
    'sslcrldir=folder',
  ])('%s', (parameter) => {
    expect(why(`${URL}?${encodeURI(parameter)}`)).toMatch(
      new RegExp(`^${parameter.split('=')[0]} would let it talk`),
    );
  });

  test.each(['xoff', 'offx', 'x0', '0x', 'preferx', 'xallow'])('ssl=%s is a name of somebody’s', (value) => {
    expect(why(`${URL}?ssl=${value}`)).toBeUndefined();
  });

  test('all of them are named', () => {
    expect(why(`${URL}?sslmode=disable&sslcrl=x`)).toBe(
      'sslmode and sslcrl would let it talk to a server that is not verified: take that out, every connection is made as with sslmode=verify-full',
    );
  });
});

test.each([
  ['', 'it does not have the form postgresql://user:password@host:port/database'],
  ['mysql://app:secret@db/photos', 'it does not have the form postgresql://user:password@host:port/database'],
  [
    'xpostgresql://app:secret@db/photos',
    'it does not have the form postgresql://user:password@host:port/database',
  ],
  ['postgresql://app:se/cret@db/photos', /^it has a raw \/, \?, # or @ where none may be/],
  ['postgresql://app:se#cret@db/photos', /^it has a raw \/, \?, # or @ where none may be/],
  ['postgresql://app:secret@db/photos#x', /^it has a raw \/, \?, # or @ where none may be/],
  ['postgresql://app:secret@db/a/b', 'the name of its database has a raw /: write %2F'],
  ['postgresql://app:secret@db//photos', 'the name of its database has a raw /: write %2F'],
  ['postgresql://db/photos', 'it names no user'],
  ['postgresql://:secret@db/photos', 'it names no user'],
  [`${URL}?sslmode`, 'behind its ? stands something without name=value'],
  [`${URL}?=x`, 'behind its ? stands something without name=value'],
  [`${URL}?%zz=x`, 'its parameters has a % that encodes nothing: write %25 for a %'],
  [`${URL}?x=%zz`, 'its parameters has a % that encodes nothing: write %25 for a %'],
  ['postgresql://%zz:secret@db/photos', 'its user has a % that encodes nothing: write %25 for a %'],
  ['postgresql://app:%zz@db/photos', 'its password has a % that encodes nothing: write %25 for a %'],
  ['postgresql://app:%00@db/photos', 'its password has a % that encodes nothing: write %25 for a %'],
  ['postgresql://app:secret@%zz/photos', 'its host has a % that encodes nothing: write %25 for a %'],
  ['postgresql://app:secret@db/%zz', 'its database has a % that encodes nothing: write %25 for a %'],
  ...['', '-a', 'a-', 'a b', 'ä', 'a,'].map((host): [string, string] => [
    `postgresql://app:secret@${host}/photos`,
    'it names no host, or one that is neither a name nor an address',
  ]),
  ...['0', '65536', 'x', '1x', 'x1', '123456', '-1'].map((port): [string, string] => [
    `postgresql://app:secret@db:${port}/photos`,
    'its port is not a number from 1 to 65535',
  ]),
  [
    `${URL}?target_session_attrs=standby`,
    'target_session_attrs asks for a server that takes no writes: take that out',
  ],
])('%j is refused', (url, said) => {
  expect(why(url)).toEqual(typeof said === 'string' ? said : expect.stringMatching(said));
});

describe('the JSON that RDS writes', () => {
  const rds = {
    host: 'db.example.org',
    username: 'app',
    password: 'p/w@rd',
    dbname: 'photos',
    port: 6000,
    engine: 'postgres',
  };
  const json = (rest: object = {}) => JSON.stringify({ ...rds, ...rest });

  test('means what its URL would', () => {
    const meant = { ...plain, password: 'p/w@rd', hosts: [{ host: 'db.example.org', port: 6000 }] };
    expect(parseDatabaseSecret(json())).toEqual(meant);
    expect(parseDatabaseSecret(` ${json({ engine: 'aurora-postgresql', username: 'a:b' })}`)).toEqual({
      ...meant,
      user: 'a:b',
    });
    expect(parseDatabaseSecret(json({ port: undefined, dbname: undefined, engine: undefined }))).toEqual({
      ...meant,
      hosts: plain.hosts,
      database: 'postgres',
    });
    expect(parseDatabaseSecret(URL)).toEqual(plain);
  });

  test.each([
    ['host', ''],
    ['username', 7],
    ['password', undefined],
    ['dbname', ''],
  ])('without a %s is refused', (name, value) => {
    expect(why(json({ [name]: value }), parseDatabaseSecret)).toBe(`its JSON has no ${name}`);
  });

  test('of another engine, or of none, is refused', () => {
    expect(why(json({ engine: 'mysql' }), parseDatabaseSecret)).toBe(
      'it is of "mysql", which is not PostgreSQL',
    );
    expect(why('{', parseDatabaseSecret)).toBe('it begins like JSON and is none');
  });
});
