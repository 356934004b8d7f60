/** Caps of one photographer, as an operator sets them; the account's is in test/end-to-end/telemetry. */
import { randomUUID } from 'node:crypto';
import { eventOwners, photographerCap } from '../../../lambdas/shared/line/photographers.ts';
import { parseOpsArguments } from '../../../ops/arguments.ts';
import { cap } from '../../../ops/commands/cap.ts';
import type { Context } from '../../../ops/context.ts';
import { useTable } from '../../support/table.ts';

const TABLE = 'photographers';
const table = useTable(TABLE, 'expiration');
const CONFIGURED = { PhotographersTableName: TABLE, DailyImagesPerPhotographer: '2' };

/** What a command answers and asks; whoever is asked says yes, unless told otherwise. */
async function operate(
  argv: readonly string[],
  { outputs = CONFIGURED as object, agrees = true }: { outputs?: object; agrees?: boolean } = {},
) {
  const asked: string[] = [];
  const { data, lines } = await cap({
    args: parseOpsArguments(['cap', ...argv], {}),
    deployment: { dynamodb: table.client, outputs },
    confirm: async (question: string) => {
      asked.push(question);
      return agrees;
    },
  } as unknown as Context);
  return { data, line: lines.join('\n'), asked };
}

const deps = () => ({ dynamodb: table.client, table: TABLE, now: Date.now });

test('a photographer’s cap is shown, raised after a question, and gone back to', async () => {
  const [event, photographer] = [randomUUID(), randomUUID()];
  await eventOwners(deps()).tell(event, photographer);
  const gate = photographerCap(deps(), 2);
  await gate.take(event);
  const whose = `of photographer ${photographer} a day (UTC)`;
  await expect(operate(['--photographer', photographer])).resolves.toEqual({
    data: {
      photographer,
      daily_image_cap: 2,
      set_by_operator: false,
      images_today: 1,
      dry_run: false,
    },
    line: `2 images ${whose}, as configured; 1 so far today.`,
    asked: [],
  });

  const more = ['--photographer', photographer, '--images', '502'];
  const refused = await operate(more, { agrees: false });
  expect(refused).toMatchObject({
    line: 'Nothing was changed.',
    asked: [
      `Up to 500 more images of photographer ${photographer} may be indexed today, which costs at most $0.50. Go on?`,
    ],
  });
  await expect(operate([...more, '--dry-run'])).resolves.toMatchObject({
    line: `Would set the cap: 502 images ${whose}, set by an operator; 1 so far today.`,
  });
  await gate.take(event);
  await expect(gate.take(event)).rejects.toMatchObject({ name: 'PhotographerCapReached' });

  await expect(operate(more)).resolves.toMatchObject({
    data: { daily_image_cap: 502, set_by_operator: true },
    line: `502 images ${whose}, set by an operator; 2 so far today. Photos that wait for it notice within the hour.`,
  });
  await gate.take(event);
  // Less is nothing to ask about.
  await expect(operate(['--photographer', photographer, '--default'])).resolves.toMatchObject({
    line: `2 images ${whose}, as configured; 3 so far today.`,
    asked: [],
  });
  await expect(gate.take(event)).rejects.toMatchObject({ name: 'PhotographerCapReached' });
});

test('an event without a photographer has its own; of one that has, the photographer’s is named', async () => {
  const [event, photographer] = [randomUUID(), randomUUID()];
  await expect(operate(['--event', event, '--images', '3'])).resolves.toMatchObject({
    data: { event, daily_image_cap: 3, images_today: 0 },
  });
  await eventOwners(deps()).tell(event, photographer);
  await expect(operate(['--event', event])).rejects.toThrow(
    `The event is photographer ${photographer}'s: say --photographer ${photographer}.`,
  );
});

test.each([
  [
    ['--photographer', randomUUID()],
    {},
    'There is no cap for a photographer here: deploy with dailyImagesPerPhotographer',
  ],
  [['--event', randomUUID(), '--photographer', randomUUID()], CONFIGURED, 'only one of them'],
  [['--photographer', randomUUID(), '--images', '5', '--default'], CONFIGURED, 'only one of them'],
])('%j with outputs %j is answered in one line', async (argv, outputs, line) => {
  await expect(operate(argv, { outputs })).rejects.toMatchObject({
    name: 'UserError',
    message: expect.stringContaining(line),
  });
});
