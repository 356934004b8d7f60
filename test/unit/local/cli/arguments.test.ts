import { UserError } from '../../../../cli/user-error.ts';
import { parseStartArguments, parseUpArguments } from '../../../../local/cli/arguments.ts';
import { DEFAULT_POSTGRES_PORT } from '../../../../local/where.ts';

const EVENT = '0B9D7C1E-6A43-4F0E-9D2B-5C8A1F3E7D60';

function mistake(argv: string[], env: Record<string, string> = {}): UserError {
  try {
    parseStartArguments(argv, env);
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    expect((error as UserError).exitCode).toBe(2);
    expect((error as UserError).message).not.toContain('\n');
    return error as UserError;
  }
  throw new Error(`${argv.join(' ')} was taken`);
}

describe('the arguments of npm start', () => {
  test('without any: the sample photos, a table, the usual port', () => {
    expect(parseStartArguments([], {})).toEqual({
      json: false,
      folder: undefined,
      eventId: undefined,
      selfie: undefined,
      postgresPort: DEFAULT_POSTGRES_PORT,
    });
  });

  test('in any order', () => {
    const all = {
      json: true,
      folder: 'my photos',
      eventId: EVENT.toLowerCase(),
      selfie: 'me.jpg',
      postgresPort: 6000,
    };
    expect(
      parseStartArguments(
        ['my photos', '--event', EVENT, '--find', 'me.jpg', '--json', '--postgres-port', '6000'],
        {},
      ),
    ).toEqual(all);
    expect(
      parseStartArguments(
        ['--json', '--find=me.jpg', `--event=${EVENT}`, '--postgres-port=6000', 'my photos'],
        {},
      ),
    ).toEqual(all);
  });

  test('a folder whose name begins with a dash comes after --', () => {
    expect(parseStartArguments(['--', '-odd'], {}).folder).toBe('-odd');
  });

  test('the port: option before environment before default', () => {
    expect(parseStartArguments([], { ROLLCALL_POSTGRES_PORT: '7000' }).postgresPort).toBe(7000);
    expect(
      parseStartArguments(['--postgres-port', '6000'], { ROLLCALL_POSTGRES_PORT: '7000' }).postgresPort,
    ).toBe(6000);
    expect(parseStartArguments([], { ROLLCALL_POSTGRES_PORT: '' }).postgresPort).toBe(DEFAULT_POSTGRES_PORT);
    expect(parseUpArguments(['--postgres-port', '6000'], {}).postgresPort).toBe(6000);
  });

  test.each([
    [['--evnt', EVENT], '--evnt'],
    [['-x'], '-x'],
    [['--toString'], '--toString'],
    [['--event', 'summer-party'], '"summer-party"'],
    [['--event'], '--event needs a value'],
    [['--event='], '--event needs a value'],
    [['--event', '--json'], '--event needs a value'],
    [['--json=yes'], '--json takes no value'],
    [['--postgres-port', 'five'], '"five"'],
    [['--postgres-port', '0'], '"0"'],
    [['--postgres-port', '65536'], '"65536"'],
    [['--postgres-port', '1e3'], '"1e3"'],
    [['my', 'photos'], 'my, photos'],
    [[''], 'empty'],
  ])('%j is a mistake, and told as one', (argv, told) => {
    expect(mistake(argv).message).toContain(told);
  });

  test('a mistake in the environment names the variable', () => {
    expect(mistake([], { ROLLCALL_POSTGRES_PORT: 'x' }).message).toContain('ROLLCALL_POSTGRES_PORT');
  });

  test('options that npm took for its own are noticed', () => {
    const npm = { npm_lifecycle_event: 'start' };
    expect(mistake([EVENT], { ...npm, npm_config_event: 'true' }).message).toContain('--event');
    expect(mistake([], { ...npm, npm_config_json: 'true' }).message).toContain('-- before the options');
    expect(mistake(['6000'], { ...npm, npm_config_postgres_port: 'true' }).message).toContain(
      '--postgres-port',
    );
    expect(parseStartArguments(['--json'], { ...npm, npm_config_json: 'true' }).json).toBe(true);
  });

  test('local:up takes an app, and no folder without saying so', () => {
    expect(parseUpArguments(['--app', 'examples/platform'], {})).toMatchObject({ app: 'examples/platform' });
    expect(parseUpArguments([], {}).app).toBeUndefined();
    expect(() => parseUpArguments(['photos'], {})).toThrow(UserError);
    expect(() => parseUpArguments(['--app'], {})).toThrow('--app needs a value');
  });
});
