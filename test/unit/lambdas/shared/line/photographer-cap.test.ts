/** The cap of each photographer, on DynamoDB's API. */
import { randomUUID } from 'node:crypto';
import {
  ConditionalCheckFailedException,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
} from '@aws-sdk/client-dynamodb';
import fc from 'fast-check';
import { PipelineError } from '../../../../../lambdas/shared/contract/errors.ts';
import {
  type CountedImage,
  cappedGate,
  eventOwners,
  type PhotographerCap,
  type PhotographersDeps,
  photographerCap,
  photographerCapSwitch,
} from '../../../../../lambdas/shared/line/photographers.ts';
import { dayOf, type Slot } from '../../../../../lambdas/shared/line/rules.ts';
import { cases } from '../../../../support/effort.ts';
import { awsError, fakeClient } from '../../../../support/fake-client.ts';
import { loseAnswers } from '../../../../support/lost-answers.ts';
import { useTable } from '../../../../support/table.ts';

const TABLE = 'photographers';
const NOON = Date.parse('2026-05-01T12:00:00Z');
const MIDNIGHT = Date.parse('2026-05-02T00:00:00Z');
const HOUR_MS = 3_600_000;

const table = useTable(TABLE, 'expiration');
let requests: string[] = [];
/** Whether the answer to the next request is lost, after DynamoDB has done what it was asked for. */
let isAnswerLost = (): boolean => false;

beforeAll(async () => {
  table.client.middlewareStack.add(
    (next, context) => (args) => {
      requests.push(String(context.commandName).replace('Command', ''));
      return next(args);
    },
    { step: 'initialize' },
  );
  loseAnswers(table.client, () => isAnswerLost());
});
beforeEach(() => {
  requests = [];
  isAnswerLost = () => false;
});

/** Functions with a memory of their own each, at one moment. */
function fleet(imagesPerDay: number, clock = { now: NOON }) {
  const deps = () => ({ dynamodb: table.client, table: TABLE, now: () => clock.now });
  return {
    clock,
    member: () => photographerCap(deps(), imagesPerDay),
    teller: () => eventOwners(deps()),
    operator: photographerCapSwitch(deps()),
  };
}

async function itemOf(id: string): Promise<Record<string, string> | undefined> {
  const { Item } = await table.client.send(new GetItemCommand({ TableName: TABLE, Key: { id: { S: id } } }));
  return Item && Object.fromEntries(Object.entries(Item).map(([name, { N, S }]) => [name, N ?? S ?? '']));
}
const imagesOf = async (id: string) => Number((await itemOf(id))?.images ?? 0);

/** How many of so many takes at once went through; the others were refused for the cap. */
async function takeAtOnce(members: PhotographerCap[], eventId: string, times: number): Promise<number> {
  const taken = await Promise.allSettled(
    Array.from({ length: times }, (_, i) => members[i % members.length]!.take(eventId)),
  );
  for (const each of taken) {
    if (each.status === 'rejected') {
      expect(each.reason).toMatchObject({ name: 'PhotographerCapReached' });
    }
  }
  return taken.filter(({ status }) => status === 'fulfilled').length;
}

test("a photographer's events share a cap, and nobody else's", async () => {
  const { member, teller } = fleet(30);
  const [mine, too, theirs] = [randomUUID(), randomUUID(), randomUUID()];
  const [me, them] = [randomUUID(), randomUUID()];
  await teller().tell(mine, me);
  await teller().tell(too, me);
  await teller().tell(theirs, them);
  const members = Array.from({ length: 4 }, member);
  await expect(takeAtOnce(members, mine, 12)).resolves.toBe(12);
  await expect(takeAtOnce(members, too, 12)).resolves.toBe(12);
  await expect(takeAtOnce(members, mine, 12)).resolves.toBe(6);
  await expect(takeAtOnce(members, too, 4)).resolves.toBe(0);
  await expect(takeAtOnce(members, theirs, 12)).resolves.toBe(12);
  await expect(member().check(mine)).rejects.toMatchObject({
    name: 'PhotographerCapReached',
    message: `30 of 30 images of photographer ${me} are indexed today (UTC)`,
  });
  await expect(member().check(theirs)).resolves.toBeUndefined();
});

test('an image that is not billed makes room, and midnight makes all of it', async () => {
  const { member, teller, clock } = fleet(2);
  const event = randomUUID();
  await teller().tell(event, randomUUID());
  const gate = member();
  const first = await gate.take(event);
  await gate.take(event);
  await expect(gate.take(event)).rejects.toMatchObject({ name: 'PhotographerCapReached' });
  await member().giveBack(first);
  // Its own memory still says that it is full.
  const second = await gate.take(event);
  await expect(member().check(event)).rejects.toMatchObject({ name: 'PhotographerCapReached' });
  clock.now = MIDNIGHT;
  await expect(member().check(event)).resolves.toBeUndefined();
  await expect(takeAtOnce([gate, member()], event, 3)).resolves.toBe(2);
  // What is given back too late is of a day that is over.
  await member().giveBack(second);
  await expect(gate.take(event)).rejects.toMatchObject({ name: 'PhotographerCapReached' });
});

test('callers whose clocks differ at midnight do not count the day back and forth', async () => {
  const event = randomUUID();
  const [late, early] = [fleet(3, { now: MIDNIGHT + 5 }), fleet(3, { now: MIDNIGHT - 5 })];
  await early.teller().tell(event, randomUUID());
  await expect(late.member().take(event)).resolves.toMatchObject({ day: 20260502 });
  await expect(early.member().take(event)).resolves.toMatchObject({ day: 20260502 });
  await expect(late.member().take(event)).resolves.toMatchObject({ day: 20260502 });
  await expect(takeAtOnce([late.member(), early.member()], event, 2)).resolves.toBe(0);
});

test('until an event has a photographer it counts for itself; then that is the photographer’s', async () => {
  const { member, teller } = fleet(5);
  const [event, other, photographer] = [randomUUID(), randomUUID(), randomUUID()];
  const gate = member();
  await expect(takeAtOnce([gate], event, 3)).resolves.toBe(3);
  await expect(takeAtOnce([gate], other, 9)).resolves.toBe(5);
  await expect(gate.check(other)).rejects.toThrow(`5 of 5 images of event ${other} are indexed today (UTC)`);
  await teller().tell(event, photographer);
  await expect(imagesOf(`photographer#${photographer}`)).resolves.toBe(3);
  // The gate does not know yet, and its next write tells it.
  await expect(takeAtOnce([gate, member()], event, 6)).resolves.toBe(2);
  await expect(itemOf(`event#${event}`)).resolves.toEqual({
    id: `event#${event}`,
    photographer,
    expiration: String(NOON / 1_000 + 90 * 24 * 3_600),
  });
});

test('nothing is counted twice or lost while an event gets its photographer', async () => {
  const { member, teller } = fleet(1_000);
  const [event, photographer] = [randomUUID(), randomUUID()];
  const members = Array.from({ length: 6 }, member);
  const [taken] = await Promise.all([
    takeAtOnce(members, event, 60),
    teller().tell(event, photographer),
    teller().tell(event, photographer),
  ]);
  expect(taken).toBe(60);
  await expect(imagesOf(`event#${event}`)).resolves.toBe(0);
  await expect(imagesOf(`photographer#${photographer}`)).resolves.toBe(60);
});

test('costs one write a photo, and one read to look', async () => {
  const { member, teller } = fleet(100);
  const event = randomUUID();
  const tell = teller();
  await tell.tell(event, randomUUID());
  await tell.tell(event, randomUUID());
  const gate = member();
  await gate.take(event);
  requests = [];
  await gate.take(event);
  expect(requests).toEqual(['UpdateItem']);
  requests = [];
  await gate.check(event);
  expect(requests).toEqual(['GetItem']);
});

test('is told again when ten minutes are over, or of another photographer', async () => {
  const { teller, clock } = fleet(100);
  const [event, one, other] = [randomUUID(), randomUUID(), randomUUID()];
  const tell = teller();
  const asked = async (photographer: string) => {
    requests = [];
    await tell.tell(event, photographer);
    return requests.length;
  };
  await expect(asked(one)).resolves.toBe(1);
  clock.now += HOUR_MS / 6 - 1;
  await expect(asked(one)).resolves.toBe(0);
  clock.now += 1;
  await expect(asked(one)).resolves.toBe(1);
  await expect(asked(other)).resolves.toBe(1);
  await expect(itemOf(`event#${event}`)).resolves.toMatchObject({ photographer: other });
});

test('an operator’s cap holds for one photographer, until the configured one is gone back to', async () => {
  const { member, teller, operator, clock } = fleet(2);
  const [event, theirs, photographer] = [randomUUID(), randomUUID(), randomUUID()];
  await teller().tell(event, photographer);
  await teller().tell(theirs, randomUUID());
  const gate = member();
  await expect(takeAtOnce([gate, member()], event, 4)).resolves.toBe(2);
  await operator.set({ photographer }, 5);
  await expect(operator.read({ photographer })).resolves.toEqual({
    imagesToday: 2,
    cap: 5,
    photographer: undefined,
  });
  // Its memory says that it is full, and it looks.
  await expect(takeAtOnce([gate, member()], event, 9)).resolves.toBe(3);
  await expect(takeAtOnce([gate, member()], theirs, 9)).resolves.toBe(2);
  await expect(gate.check(event)).rejects.toThrow('5 of 5 images of photographer');
  // What is kept for the next days does not go when this one is over.
  await expect(itemOf(`photographer#${photographer}`)).resolves.not.toHaveProperty('expiration');
  clock.now += 3 * 24 * HOUR_MS;
  await expect(takeAtOnce([gate], event, 1)).resolves.toBe(1);
  await operator.set({ photographer }, 1);
  // Its memory says that there is room, and its write says that there is none.
  await expect(takeAtOnce([gate], event, 3)).resolves.toBe(0);
  await operator.set({ photographer }, undefined);
  await expect(takeAtOnce([gate, member()], event, 3)).resolves.toBe(1);
  await expect(itemOf(`photographer#${photographer}`)).resolves.toMatchObject({
    expiration: String(dayAfterNext(clock.now)),
  });
});

test('an event without a photographer has its own until it gets one', async () => {
  const { member, teller, operator } = fleet(1);
  const [event, photographer] = [randomUUID(), randomUUID()];
  await operator.set({ event }, 3);
  await expect(takeAtOnce([member()], event, 9)).resolves.toBe(3);
  await teller().tell(event, photographer);
  await expect(operator.read({ event })).resolves.toEqual({ imagesToday: 0, cap: undefined, photographer });
  await expect(member().check(event)).rejects.toThrow(`3 of 1 images of photographer ${photographer}`);
  await expect(operator.set({ event }, 9)).rejects.toMatchObject({ name: 'LedgerBusy' });
  await expect(itemOf(`event#${event}`)).resolves.toHaveProperty('expiration');
});

/** Seconds since the epoch: a day after the end of this one. */
function dayAfterNext(nowMs: number): number {
  return (Math.floor(nowMs / (24 * HOUR_MS)) + 2) * 24 * 3_600;
}

/** What a function that died in the middle of it leaves behind: the event has its photographer, and its own count. */
async function leaveCounted(
  event: string,
  photographer: string,
  images: number,
  day = 20260501,
): Promise<void> {
  const Item = {
    id: { S: `event#${event}` },
    photographer: { S: photographer },
    images: { N: String(images) },
    day: { N: String(day) },
  };
  await table.client.send(new PutItemCommand({ TableName: TABLE, Item }));
}

/** The requests that this takes. */
async function asked(work: () => Promise<unknown>): Promise<string[]> {
  requests = [];
  await work();
  return requests;
}

describe('a count that goes over to the photographer', () => {
  const markOf = (event: string) => `handed_over_${event.replaceAll('-', '_')}`;

  test('goes over once a day, whoever finds it left behind', async () => {
    const { member, teller } = fleet(50);
    const [event, photographer] = [randomUUID(), randomUUID()];
    await takeAtOnce([member()], event, 3);
    await expect(asked(() => teller().tell(event, photographer))).resolves.toEqual([
      'UpdateItem',
      'GetItem',
      'UpdateItem',
      'UpdateItem',
    ]);
    const own = `photographer#${photographer}`;
    await expect(itemOf(own)).resolves.toEqual({
      id: own,
      images: '3',
      day: '20260501',
      expiration: String(dayAfterNext(NOON)),
      [markOf(event)]: '20260501',
    });
    await leaveCounted(event, photographer, 3);
    await teller().tell(event, photographer);
    await expect(imagesOf(own)).resolves.toBe(3);
    await expect(imagesOf(`event#${event}`)).resolves.toBe(0);
    // Who only looks leaves it; who counts does not.
    await leaveCounted(event, photographer, 3);
    await expect(asked(() => member().check(event))).resolves.toEqual(['GetItem', 'GetItem']);
    await expect(imagesOf(`event#${event}`)).resolves.toBe(3);
    await member().take(event);
    await expect(imagesOf(own)).resolves.toBe(4);
    await expect(imagesOf(`event#${event}`)).resolves.toBe(0);
  });

  test('of another day counts anew, and marks of days that are over go', async () => {
    const { teller, clock } = fleet(50);
    const [one, two, three, photographer] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()];
    await leaveCounted(one, photographer, 3);
    await teller().tell(one, photographer);
    clock.now += 24 * HOUR_MS;
    await leaveCounted(two, photographer, 2, 20260502);
    await teller().tell(two, photographer);
    const own = `photographer#${photographer}`;
    await expect(itemOf(own)).resolves.toMatchObject({ images: '2', [markOf(two)]: '20260502' });
    await expect(itemOf(own)).resolves.not.toHaveProperty([markOf(one)]);
    await leaveCounted(three, photographer, 4, 20260502);
    await teller().tell(three, photographer);
    await expect(itemOf(own)).resolves.toMatchObject({
      images: '6',
      [markOf(two)]: '20260502',
      [markOf(three)]: '20260502',
    });
    clock.now += 24 * HOUR_MS;
    await leaveCounted(two, photographer, 5, 20260503);
    await teller().tell(two, photographer);
    await expect(itemOf(own)).resolves.toMatchObject({ images: '5', [markOf(two)]: '20260503' });
  });

  test('is gone without a trace where its day is over', async () => {
    const { teller } = fleet(50);
    const [event, photographer] = [randomUUID(), randomUUID()];
    await leaveCounted(event, photographer, 3, 20260430);
    await teller().tell(event, photographer);
    await expect(itemOf(`photographer#${photographer}`)).resolves.toBeUndefined();
    await expect(itemOf(`event#${event}`)).resolves.not.toHaveProperty('images');
  });

  test('goes over once where two are at it', async () => {
    const { teller } = fleet(50);
    for (let time = 0; time < 3; time++) {
      const [event, photographer] = [randomUUID(), randomUUID()];
      await leaveCounted(event, photographer, 3);
      await Promise.all([teller(), teller(), teller()].map((each) => each.tell(event, photographer)));
      await expect(imagesOf(`photographer#${photographer}`)).resolves.toBe(3);
    }
  });

  test('goes over with the first image of a function that took the event for nobody’s', async () => {
    const { member } = fleet(50);
    const [event, photographer] = [randomUUID(), randomUUID()];
    const gate = member();
    await takeAtOnce([gate], event, 3);
    await leaveCounted(event, photographer, 3);
    await expect(gate.take(event)).resolves.toEqual({ id: `photographer#${photographer}`, day: 20260501 });
    await expect(imagesOf(`photographer#${photographer}`)).resolves.toBe(4);
    await expect(imagesOf(`event#${event}`)).resolves.toBe(0);
  });
});

describe('what a function remembers', () => {
  test('an event’s own count costs one write, as its photographer’s does', async () => {
    const { member } = fleet(50);
    const event = randomUUID();
    const gate = member();
    await gate.take(event);
    await expect(asked(() => gate.take(event))).resolves.toEqual(['UpdateItem']);
  });

  test('whose an event is, for ten minutes', async () => {
    const { member, teller, clock } = fleet(50);
    const event = randomUUID();
    await teller().tell(event, randomUUID());
    const gate = member();
    await gate.take(event);
    clock.now += HOUR_MS / 6 - 1;
    await expect(asked(() => gate.take(event))).resolves.toEqual(['UpdateItem']);
    clock.now += 1;
    await expect(asked(() => gate.take(event))).resolves.toEqual(['UpdateItem', 'GetItem', 'UpdateItem']);
  });

  test('another day or cap comes with the write that it stopped, and is not looked for', async () => {
    const { member, teller, operator } = fleet(50);
    const [event, photographer] = [randomUUID(), randomUUID()];
    await teller().tell(event, photographer);
    const gate = member();
    await gate.take(event);
    await operator.set({ photographer }, 20);
    await expect(asked(() => gate.take(event))).resolves.toEqual(['UpdateItem', 'UpdateItem']);
    await operator.set({ photographer }, 2);
    await expect(
      asked(() => expect(gate.take(event)).rejects.toMatchObject({ name: 'PhotographerCapReached' })),
    ).resolves.toEqual(['UpdateItem']);
  });

  test('is written down until a whole second after its end', async () => {
    const { teller } = fleet(50, { now: NOON + 1 });
    const event = randomUUID();
    await teller().tell(event, randomUUID());
    await expect(itemOf(`event#${event}`)).resolves.toMatchObject({
      expiration: String(NOON / 1_000 + 90 * 24 * 3_600 + 1),
    });
  });
});

/** What the items have to say, of a world without races. */
class Model {
  readonly #caps = new Map<string, number>();
  readonly #counts = new Map<string, { day: number; images: number }>();
  readonly #owners = new Map<string, string>();
  readonly #cap: number;

  constructor(cap: number) {
    this.#cap = cap;
  }

  idOf(event: string): string {
    const owner = this.#owners.get(event);
    return owner === undefined ? `event#${event}` : `photographer#${owner}`;
  }

  images(id: string, today: number): number {
    const count = this.#counts.get(id);
    return count && count.day >= today ? count.images : 0;
  }

  hasRoom(event: string, today: number): boolean {
    const id = this.idOf(event);
    return this.images(id, today) < (this.#caps.get(id) ?? this.#cap);
  }

  setCap(id: string, cap: number | undefined): void {
    if (cap === undefined) {
      this.#caps.delete(id);
    } else {
      this.#caps.set(id, cap);
    }
  }

  add(id: string, today: number, images: number): number {
    const before = this.#counts.get(id) ?? { day: 0, images: 0 };
    const day = Math.max(before.day, today);
    this.#counts.set(id, { day, images: images + (before.day === day ? before.images : 0) });
    return day;
  }

  giveBack({ id, day }: CountedImage): void {
    const count = this.#counts.get(id);
    if (count?.day === day) {
      count.images -= 1;
    }
  }

  tell(event: string, photographer: string, today: number): void {
    const own = `event#${event}`;
    const images = this.images(own, today);
    this.#owners.set(event, photographer);
    this.#counts.delete(own);
    this.#caps.delete(own);
    if (images > 0) {
      this.add(`photographer#${photographer}`, today, images);
    }
  }
}

test('whatever functions remember, each counts, refuses and gives back as if there were one', async () => {
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ does: fc.constant('take' as const), who: fc.nat(2), event: fc.nat(3) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ does: fc.constant('check' as const), who: fc.nat(2), event: fc.nat(3) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ does: fc.constant('giveBack' as const), who: fc.nat(2), which: fc.nat() }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        does: fc.constant('tell' as const),
        who: fc.nat(1),
        event: fc.nat(3),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        does: fc.constant('set' as const),
        event: fc.nat(3),
        cap: fc.option(fc.integer({ min: 1, max: 6 }), { nil: undefined }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ does: fc.constant('wait' as const), ms: fc.nat(18 * HOUR_MS) }) },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.array(step, { maxLength: 25 }),
      async (cap, steps) => {
        const { member, teller, operator, clock } = fleet(cap);
        const members = Array.from({ length: 3 }, member);
        const tellers = Array.from({ length: 2 }, teller);
        const events = Array.from({ length: 4 }, () => randomUUID());
        const photographers = Array.from({ length: 2 }, () => randomUUID());
        const model = new Model(cap);
        const taken: CountedImage[] = [];
        for (const each of steps) {
          const today = dayOf(clock.now);
          if (each.does === 'wait') {
            clock.now += each.ms;
          } else if (each.does === 'giveBack') {
            const [image] = taken.splice(taken.length > 0 ? each.which % taken.length : 0, 1);
            if (image) {
              await members[each.who]!.giveBack(image);
              model.giveBack(image);
            }
          } else if (each.does === 'set') {
            const id = model.idOf(events[each.event]!);
            const [kind, of] = id.split('#') as [string, string];
            await operator.set(kind === 'event' ? { event: of } : { photographer: of }, each.cap);
            model.setCap(id, each.cap);
          } else if (each.does === 'tell') {
            const [event, photographer] = [events[each.event]!, photographers[each.event % 2]!];
            await tellers[each.who]!.tell(event, photographer);
            model.tell(event, photographer, today);
          } else {
            const event = events[each.event]!;
            const done = members[each.who]![each.does](event);
            const heard = await done.then(
              (image) => image ?? 'room',
              (error: PipelineError) => error.name,
            );
            if (each.does === 'check') {
              expect(heard).toBe(model.hasRoom(event, today) ? 'room' : 'PhotographerCapReached');
            } else if (model.hasRoom(event, today)) {
              const id = model.idOf(event);
              expect(heard).toEqual({ id, day: model.add(id, today, 1) });
              taken.push(heard as CountedImage);
            } else {
              expect(heard).toBe('PhotographerCapReached');
            }
          }
        }
        for (const id of [
          ...events.map((e) => `event#${e}`),
          ...photographers.map((p) => `photographer#${p}`),
        ]) {
          const item = await itemOf(id);
          const today = dayOf(clock.now);
          const counted = Number(item?.day ?? 0) >= today ? Number(item?.images ?? 0) : 0;
          expect([id, counted]).toEqual([id, model.images(id, today)]);
        }
      },
    ),
    { numRuns: cases(10) },
  );
});

/** The next answers that are lost: of each request, also of the SDK's own repetitions. */
const losses = fc.array(fc.boolean(), { maxLength: 60 });

test('whichever answers are lost, what is billed is counted', async () => {
  const step = fc.record({
    does: fc.constantFrom(
      'take' as const,
      'take' as const,
      'take' as const,
      'giveBack' as const,
      'tell' as const,
    ),
    who: fc.nat(1),
    event: fc.nat(1),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 20 }), losses, async (steps, lost) => {
      const { member, teller } = fleet(1_000);
      const members = [member(), member()];
      const tellers = [teller(), teller()];
      const events = [randomUUID(), randomUUID()];
      const photographer = randomUUID();
      const taken: CountedImage[] = [];
      let left = [...lost];
      isAnswerLost = () => left.shift() ?? false;
      const busy = (error: unknown) => expect(error).toMatchObject({ name: 'LedgerBusy' });
      for (const { does, who, event } of steps) {
        if (does === 'take') {
          await members[who]!.take(events[event]!).then((image) => taken.push(image), busy);
        } else if (does === 'tell') {
          await tellers[who]!.tell(events[event]!, photographer).catch(busy);
        } else {
          const image = taken.pop();
          // Given back or not: nothing is billed for it.
          await (image && members[who]!.giveBack(image).catch(busy));
        }
      }
      left = [];
      const counted = await Promise.all(
        [...events.map((event) => `event#${event}`), `photographer#${photographer}`].map(imagesOf),
      );
      expect(counted.reduce((sum, images) => sum + images, 0)).toBeGreaterThanOrEqual(taken.length);
      // And once it is told, by the photographer alone.
      for (const event of events) {
        await teller().tell(event, photographer);
      }
      await expect(imagesOf(`photographer#${photographer}`)).resolves.toBeGreaterThanOrEqual(taken.length);
    }),
    { numRuns: cases(15) },
  );
});

describe('the gate', () => {
  const slot: Slot = { slotMs: NOON, intervalMs: 20, cuts: 0, day: 20260501 };
  const image: CountedImage = { id: 'photographer#p', day: 20260501 };

  function gateOf(settings: { take?: () => Promise<CountedImage>; takeSlot?: () => Promise<Slot> } = {}) {
    const done: string[] = [];
    const note =
      <Result>(what: string, result: () => Promise<Result>) =>
      () => {
        done.push(what);
        return result();
      };
    const nothing = async () => undefined;
    const gate = cappedGate(
      {
        takeSlot: note('slot', settings.takeSlot ?? (async () => slot)),
        reportThrottle: note('throttled', nothing),
        giveBack: note('slot back', nothing),
      },
      {
        check: nothing,
        take: note('image', settings.take ?? (async () => image)),
        giveBack: async (given) => {
          expect(given).toBe(image);
          done.push('image back');
        },
      },
      'event',
    );
    return { gate, done };
  }
  const asked = { lane: 'live', placeMs: NOON } as const;

  test('counts before it takes the slot, and gives both back, once', async () => {
    const { gate, done } = gateOf();
    await expect(gate.takeSlot(asked)).resolves.toBe(slot);
    await gate.reportThrottle(slot);
    await gate.giveBack(slot);
    await gate.giveBack(slot);
    expect(done).toEqual(['image', 'slot', 'throttled', 'slot back', 'image back', 'slot back']);
  });

  test('a full count is a way back to the line, without a slot', async () => {
    const full = gateOf({
      take: async () => {
        throw new PipelineError('PhotographerCapReached', 'full');
      },
    });
    await expect(full.gate.takeSlot(asked)).rejects.toMatchObject({ name: 'SlotExpired', message: 'full' });
    const busy = gateOf({
      take: async () => {
        throw new PipelineError('LedgerBusy', 'busy');
      },
    });
    await expect(busy.gate.takeSlot(asked)).rejects.toMatchObject({ name: 'LedgerBusy' });
    expect([...full.done, ...busy.done]).toEqual(['image', 'image']);
  });

  test('without a slot the image is given back', async () => {
    const { gate, done } = gateOf({
      takeSlot: async () => {
        throw new PipelineError('SlotExpired', 'too long a line');
      },
    });
    await expect(gate.takeSlot(asked)).rejects.toMatchObject({ message: 'too long a line' });
    expect(done).toEqual(['image', 'slot', 'image back']);
  });

  test('is the ledger’s own where there is no cap', () => {
    const gate = {
      takeSlot: async () => slot,
      reportThrottle: async () => undefined,
      giveBack: async () => undefined,
    };
    expect(cappedGate(gate, undefined, 'event')).toBe(gate);
  });
});

test.each([
  ['ThrottlingException', 'LedgerBusy'],
  ['AccessDeniedException', 'AccessDenied'],
  ['ResourceNotFoundException', 'MissingConfiguration'],
])('DynamoDB’s %s is %s, whoever hears it', async (said, name) => {
  const fail = () => {
    throw awsError(said);
  };
  const { client: dynamodb } = fakeClient<DynamoDBClient>({ GetItem: fail, UpdateItem: fail });
  const deps = { dynamodb, table: TABLE, now: () => NOON };
  const cap = photographerCap(deps, 5);
  for (const asked of [
    cap.take('e'),
    cap.check('e'),
    cap.giveBack({ id: 'event#e', day: 20260501 }),
    eventOwners(deps).tell('e', 'p'),
  ]) {
    await expect(asked).rejects.toMatchObject({ name });
  }
});

test('gives up after as many lost races as the ledger does', async () => {
  const isOwners = ({ UpdateExpression }: Record<string, unknown>) =>
    String(UpdateExpression).includes(':photographer');
  async function writesUntilItGivesUp(
    doing: (deps: PhotographersDeps) => Promise<unknown>,
    isLost: (input: Record<string, unknown>) => boolean,
  ): Promise<number> {
    const { client: dynamodb, calls } = fakeClient<DynamoDBClient>({
      GetItem: () => ({ Item: { day: { N: '20260501' }, images: { N: '1' } } }),
      UpdateItem(input) {
        if (isLost(input as Record<string, unknown>)) {
          throw new ConditionalCheckFailedException({ message: 'lost', $metadata: {} });
        }
        return { Attributes: { photographer: { S: 'p' }, day: { N: '20260501' }, images: { N: '1' } } };
      },
    });
    await expect(doing({ dynamodb, table: TABLE, now: () => NOON })).rejects.toMatchObject({
      name: 'LedgerBusy',
    });
    return calls.filter(([command]) => command === 'UpdateItem').length;
  }
  const take = (deps: PhotographersDeps) => photographerCap(deps, 5).take('e');
  const tell = (deps: PhotographersDeps) => eventOwners(deps).tell('e', 'p');
  await expect(writesUntilItGivesUp(take, () => true)).resolves.toBe(20);
  await expect(writesUntilItGivesUp(tell, (input) => !isOwners(input))).resolves.toBe(1 + 20);
});
