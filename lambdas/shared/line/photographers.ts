/**
 * How many images of one photographer may be indexed in a UTC day, beside the account's cap: counted in items of their own, so that
 * no two photographers wait for one write.
 *
 * Whoever may call Rekognition cannot read whose an event is, so its item says so: announce-photos, in the database's network, writes
 * it (docs/adr/0022). Until then an event counts for itself, in its own item and under the same cap; what it has counted by then goes over
 * to its photographer.
 */
import { type DynamoDBClient, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import { PipelineError } from '../contract/errors.ts';
import { ledgerError } from '../runtime/aws-errors.ts';
import { decodeLedger, type Item, readItem } from './item.ts';
import { memory } from './memory.ts';
import { MAX_RACES } from './remembered-item.ts';
import {
  type Change,
  countedDay,
  countImages,
  type DayCount,
  giveBack,
  imagesToday,
  type LedgerState,
  nextDay,
  type Premise,
  type Slot,
} from './rules.ts';
import type { SlotLedger } from './store.ts';
import { writeItem } from './write.ts';

export interface PhotographersDeps {
  dynamodb: DynamoDBClient;
  /** Partition key `id`, time to live `expiration`. */
  table: string;
  /** Milliseconds since the epoch. */
  now(): number;
}

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** How long a function goes by what it has read, or written, of whose an event is. */
const REMEMBERED_MS = 10 * MINUTE_MS;

/** Without a photo, an event is no one's after this, and counts for itself again. */
const OWNED_FOR_MS = 90 * DAY_MS;

/** A count is of use until its day is over; clocks may differ. */
const COUNT_KEPT_MS = DAY_MS;

const eventItem = (eventId: string) => `event#${eventId}`;
const photographerItem = (photographerId: string) => `photographer#${photographerId}`;

/** What an item of images says: the day's count, and the cap that an operator set in place of the configured one. */
type CappedCount = DayCount & Pick<LedgerState, 'daily_image_cap'>;

/** An image of one day's count. */
export interface CountedImage {
  /** Of the item that counts it. */
  id: string;
  day: number;
}

export interface PhotographerCap {
  /**
   * Whether there is room for an image of the event: for photos that have yet to stand in line. Two reads at most.
   *
   * @throws PipelineError `PhotographerCapReached`, `LedgerBusy`, `AccessDenied`, `MissingConfiguration`
   */
  check(eventId: string): Promise<void>;
  /**
   * Counts an image of the event. One write, as a rule.
   *
   * @throws PipelineError `PhotographerCapReached`, `LedgerBusy`, `AccessDenied`, `MissingConfiguration`
   */
  take(eventId: string): Promise<CountedImage>;
  /** Takes an image off the count again: it is not going to be billed. One write. */
  giveBack(image: CountedImage): Promise<void>;
}

/** Of one function, which remembers what it last saw, as the slot ledger does. */
export function photographerCap(deps: PhotographersDeps, imagesPerDay: number): PhotographerCap {
  const photographers = memory<{ photographer: string; untilMs: number }>();
  const counts = memory<CappedCount>();

  function photographerOf(eventId: string): string | undefined {
    const known = photographers.get(eventId);
    return known && known.untilMs > deps.now() ? known.photographer : undefined;
  }

  /** Notes what an item says: a count, and of an event whose it is. */
  function note(eventId: string, id: string, item: Item): CappedCount {
    const { S: photographer } = item.photographer ?? {};
    if (photographer !== undefined) {
      photographers.set(eventId, { photographer, untilMs: deps.now() + REMEMBERED_MS });
    }
    const count = decodeLedger(item);
    counts.set(id, count);
    return count;
  }

  /** The item that an image of the event is counted in, as it is now. */
  async function look(
    eventId: string,
    { counts: isCounting }: { counts: boolean },
  ): Promise<{ id: string; count: CappedCount }> {
    if (photographerOf(eventId) === undefined) {
      const id = eventItem(eventId);
      const item = await readItem(deps, id);
      const count = note(eventId, id, item);
      if (photographerOf(eventId) === undefined) {
        return { id, count };
      }
      if (isCounting) {
        await handOver(deps, eventId, item);
      }
    }
    const id = photographerItem(photographerOf(eventId)!);
    return { id, count: note(eventId, id, await readItem(deps, id)) };
  }

  function remembered(eventId: string): { id: string; count: CappedCount } | undefined {
    const photographer = photographerOf(eventId);
    const id = photographer === undefined ? eventItem(eventId) : photographerItem(photographer);
    const count = counts.get(id);
    return count && { id, count };
  }

  const capOf = (count: CappedCount) => count.daily_image_cap ?? imagesPerDay;

  function refuse({ id, count }: { id: string; count: CappedCount }): never {
    const images = imagesToday(count, deps.now());
    throw new PipelineError(
      'PhotographerCapReached',
      `${images} of ${capOf(count)} images of ${id.replace('#', ' ')} are indexed today (UTC)`,
    );
  }

  const isFull = (count: CappedCount) => imagesToday(count, deps.now()) >= capOf(count);

  return {
    async check(eventId) {
      const now = await look(eventId, { counts: false });
      if (isFull(now.count)) {
        refuse(now);
      }
    },

    async take(eventId) {
      let known = remembered(eventId);
      let isFresh = false;
      for (let race = 0; race < MAX_RACES; race++) {
        if (!known || (isFull(known.count) && !isFresh)) {
          // Nobody is sent away without a look.
          known = await look(eventId, { counts: true });
        }
        if (isFull(known.count)) {
          refuse(known);
        }
        const { id, count } = known;
        const written = await writeItem(deps, id, counting(id, count, 1, capOf(count), deps.now()));
        if ('item' in written) {
          return { id, day: note(eventId, id, written.item).day ?? 0 };
        }
        // Another count, another day, another cap, or the event has got its photographer.
        const conflict = written.conflict && note(eventId, id, written.conflict);
        if (written.conflict && id === eventItem(eventId)) {
          await handOver(deps, eventId, written.conflict);
        }
        known = conflict && remembered(eventId)?.id === id ? { id, count: conflict } : undefined;
        isFresh = known !== undefined;
      }
      throw new PipelineError('LedgerBusy', `Lost ${MAX_RACES} races to count an image`);
    },

    async giveBack({ id, day }) {
      // A conflict means that the day is over, or that the event's count has gone over to its photographer.
      await writeItem(deps, id, giveBack({ day }));
    },
  };
}

/** What tells the gate whose an event is. */
export interface EventOwners {
  /**
   * Writes it down, once in a while for each event. One write and, where the event has counted for itself, three more calls.
   *
   * @throws PipelineError `LedgerBusy`, `AccessDenied`, `MissingConfiguration`
   */
  tell(eventId: string, photographerId: string): Promise<void>;
}

export function eventOwners(deps: PhotographersDeps): EventOwners {
  const told = memory<{ photographer: string; untilMs: number }>();
  return {
    async tell(eventId, photographerId) {
      const nowMs = deps.now();
      const last = told.get(eventId);
      if (last?.photographer === photographerId && last.untilMs > nowMs) {
        return;
      }
      await handOver(deps, eventId, await writeOwner(deps, eventId, photographerId, nowMs));
      told.set(eventId, { photographer: photographerId, untilMs: nowMs + REMEMBERED_MS });
    },
  };
}

/** @returns the item as it is: from this write on, nobody counts in it */
async function writeOwner(
  { dynamodb, table }: PhotographersDeps,
  eventId: string,
  photographerId: string,
  nowMs: number,
): Promise<Item> {
  try {
    const { Attributes = {} } = await dynamodb.send(
      new UpdateItemCommand({
        TableName: table,
        Key: { id: { S: eventItem(eventId) } },
        UpdateExpression: 'SET photographer = :photographer, expiration = :expiration REMOVE daily_image_cap',
        ExpressionAttributeValues: {
          ':photographer': { S: photographerId },
          ':expiration': { N: String(inSeconds(nowMs + OWNED_FOR_MS)) },
        },
        ReturnValues: 'ALL_NEW',
      }),
    );
    return Attributes;
  } catch (error) {
    throw ledgerError(error);
  }
}

/**
 * Counts for its photographer what an event had counted for itself, once: whoever sees that it is left in the event's item does it,
 * also after somebody else died in the middle of it.
 *
 * @param item the event's, with its photographer
 */
async function handOver(deps: PhotographersDeps, eventId: string, item: Item): Promise<void> {
  const { S: photographer } = item.photographer ?? {};
  if (photographer === undefined || item.images === undefined) {
    return;
  }
  const images = imagesToday(decodeLedger(item), deps.now());
  if (images > 0) {
    await countOnce(deps, photographerItem(photographer), images, handedOver(eventId));
  }
  await writeItem(deps, eventItem(eventId), { premises: [], remove: ['day', 'images'] });
}

/** In the photographer's item: the day on which this event's own count went over. */
const HANDED_OVER = 'handed_over_';
const handedOver = (eventId: string) => `${HANDED_OVER}${eventId.replaceAll('-', '_')}`;

/** @param mark the attribute that says on which day these images were counted */
async function countOnce(deps: PhotographersDeps, id: string, images: number, mark: string): Promise<void> {
  let item = await readItem(deps, id);
  for (let race = 0; race < MAX_RACES; race++) {
    const count = decodeLedger(item);
    const day = countedDay(count, deps.now());
    const marks = Object.entries(item).flatMap(([name, { N }]) =>
      name.startsWith(HANDED_OVER) ? [{ name, day: Number(N) }] : [],
    );
    const before = marks.find(({ name }) => name === mark)?.day;
    if (before === day) {
      return;
    }
    const change: Change<string> = counting(id, count, images, undefined, deps.now());
    const written = await writeItem(deps, id, {
      ...change,
      premises: [...change.premises, { attribute: mark, is: before }],
      set: { ...change.set, [mark]: day },
      remove: marks.filter((old) => old.name !== mark && old.day < day).map(({ name }) => name),
    });
    if ('item' in written) {
      return;
    }
    item = written.conflict ?? (await readItem(deps, id));
  }
  throw new PipelineError('LedgerBusy', `Lost ${MAX_RACES} races to count images`);
}

/**
 * The account's rule for a day's count; an event counts only while it is no one's. An item with a cap of its own is kept when its day
 * is over.
 */
function counting(
  id: string,
  count: CappedCount,
  images: number,
  cap: number | undefined,
  nowMs: number,
): Change<'day' | 'images' | 'daily_image_cap' | 'photographer' | 'expiration'> {
  const { premises, ...change } = countImages(count, images, cap, nowMs);
  const { daily_image_cap: ownCap } = count;
  return {
    ...change,
    premises: [...premises, { attribute: 'daily_image_cap', is: ownCap }, ...noOnes(id)],
    set: { ...change.set, ...(ownCap === undefined && { expiration: countExpiration(nowMs) }) },
  };
}

function countExpiration(nowMs: number): number {
  return inSeconds(nextDay(nowMs) + COUNT_KEPT_MS);
}

/** Whose images a cap counts: a photographer's, or those of an event that has none. */
export type CountedBy = { photographer: string } | { event: string };

export interface CapView {
  imagesToday: number;
  /** What an operator set; undefined where the configured number holds. */
  cap: number | undefined;
  /** Of an event, whose it is: then its images count there. */
  photographer: string | undefined;
}

/** The caps as an operator uses them. */
export interface PhotographerCapSwitch {
  /** @throws PipelineError `LedgerBusy`, `AccessDenied`, `MissingConfiguration` */
  read(by: CountedBy): Promise<CapView>;
  /**
   * Sets the images a day, until it is set again; undefined goes back to the configured number.
   *
   * @throws PipelineError `LedgerBusy`, `AccessDenied`, `MissingConfiguration`
   */
  set(by: CountedBy, imagesPerDay: number | undefined): Promise<void>;
}

export function photographerCapSwitch(deps: PhotographersDeps): PhotographerCapSwitch {
  const idOf = (by: CountedBy) => ('event' in by ? eventItem(by.event) : photographerItem(by.photographer));
  return {
    async read(by) {
      const item = await readItem(deps, idOf(by));
      const count = decodeLedger(item);
      return {
        imagesToday: imagesToday(count, deps.now()),
        cap: count.daily_image_cap,
        photographer: item.photographer?.S,
      };
    },
    async set(by, imagesPerDay) {
      const id = idOf(by);
      const written = await writeItem(deps, id, {
        premises: noOnes(id),
        ...(imagesPerDay === undefined
          ? { remove: ['daily_image_cap'], set: { expiration: countExpiration(deps.now()) } }
          : { remove: ['expiration'], set: { daily_image_cap: imagesPerDay } }),
      });
      if ('conflict' in written) {
        throw new PipelineError(
          'LedgerBusy',
          'The event has got its photographer meanwhile: set the cap there',
        );
      }
    },
  };
}

/** That an event has no photographer; of a photographer, nothing. */
function noOnes(id: string): Premise<'photographer'>[] {
  return id.startsWith(eventItem('')) ? [{ attribute: 'photographer', is: undefined }] : [];
}

function inSeconds(ms: number): number {
  return Math.ceil(ms / 1_000);
}

type Gate = Pick<SlotLedger, 'takeSlot' | 'reportThrottle' | 'giveBack'>;

/**
 * The gate for one photo: takes an image of its photographer before the slot, and gives both back where nothing is going to be billed.
 * A full count sends the photo back to the line, which says why.
 */
export function cappedGate(gate: Gate, cap: PhotographerCap | undefined, eventId: string): Gate {
  if (!cap) {
    return gate;
  }
  let image: CountedImage | undefined;
  async function returnImage(): Promise<void> {
    const taken = image;
    image = undefined;
    if (taken) {
      await cap!.giveBack(taken);
    }
  }
  return {
    async takeSlot(request): Promise<Slot> {
      try {
        image = await cap.take(eventId);
      } catch (error) {
        throw error instanceof PipelineError && error.name === 'PhotographerCapReached'
          ? new PipelineError('SlotExpired', error.message)
          : error;
      }
      try {
        return await gate.takeSlot(request);
      } catch (error) {
        // Whatever the counts say, the slot's error is what the photo goes by.
        await returnImage().catch(() => undefined);
        throw error;
      }
    },
    reportThrottle: (slot) => gate.reportThrottle(slot),
    async giveBack(slot) {
      await gate.giveBack(slot);
      await returnImage();
    },
  };
}
