import { setTimeout as sleep } from 'node:timers/promises';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { ListFacesCommand } from '@aws-sdk/client-rekognition';
import type postgres from 'postgres';
import type { ChangesAnswer, PhotoAnswer } from '../../lambdas/shared/contract/gallery.ts';
import type { FindPersonAnswer } from '../../lambdas/shared/contract/search.ts';
import { localClientOptions } from '../../local/clients.ts';
import type { Cloud } from '../../local/cloud.ts';
import {
  type GalleryRow,
  NOTE_STATES,
  type NotedState,
  outOfOrder,
  unknownChanges,
  wrongReplay,
} from '../support/feed.ts';
import { GROUPS, photoWith } from './photos.ts';

/** How often a follower asks what changed: each time costs a function, and there is more to be told the longer it waits. */
const FOLLOW_EVERY_MS = 4_000;

/** Of one page; small, so that there are many. */
const PAGE = 20;

/** Somebody who follows the changes of an event through the API, whatever strikes in between. */
export class Follower {
  readonly #cloud: Cloud;
  readonly #eventId: string;
  readonly #told: PhotoAnswer[] = [];
  #since: string | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(cloud: Cloud, eventId: string) {
    this.#cloud = cloud;
    this.#eventId = eventId;
  }

  get changes(): number {
    return this.#told.length;
  }

  async follow(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      await this.#page(PAGE);
      await sleep(FOLLOW_EVERY_MS);
    }
  }

  /** @returns what does not hold of the feed, with nothing under way */
  async faults(sql: postgres.Sql): Promise<string[]> {
    while ((await this.#page(PAGE))?.more !== false) {
      // Read on, and again where the database did not answer.
    }
    const again = new Follower(this.#cloud, this.#eventId);
    while ((await again.#page(100))?.more !== false) {
      // The same.
    }
    const rows = await sql<GalleryRow[]>`
      SELECT photo_id, object_key, status::text, faces, failure_code FROM gallery_photos
      WHERE event_id = ${this.#eventId}`;
    const states = await sql<(Omit<NotedState, 'n'> & { n: string })[]>`
      SELECT * FROM feed_audit.states WHERE event_id = ${this.#eventId} ORDER BY n`;
    return [
      ...unknownChanges(this.#told, rows),
      ...wrongReplay(again.#told, rows),
      ...outOfOrder(
        this.#told,
        states.map((state) => ({ ...state, n: Number(state.n) })),
      ),
    ];
  }

  /** The next page, one after the other. */
  #page(limit: number): Promise<Pick<ChangesAnswer, 'more'> | undefined> {
    const page = this.#last.then(() => this.#read(limit));
    this.#last = page;
    return page;
  }

  /** Undefined where the API could not tell. Of an event that nobody has heard of there is nothing. */
  async #read(limit: number): Promise<Pick<ChangesAnswer, 'more'> | undefined> {
    const query = new URLSearchParams({ limit: String(limit), ...(this.#since && { since: this.#since }) });
    const response = await fetch(
      `${this.#cloud.outputs.ApiUrl}/events/${this.#eventId}/changes?${query}`,
    ).catch(() => undefined);
    if (response?.status === 404) {
      await response.body?.cancel();
      return { more: false };
    }
    if (!response?.ok) {
      await response?.body?.cancel();
      await sleep(200);
      return undefined;
    }
    const { photos, next, more } = (await response.json()) as ChangesAnswer;
    this.#told.push(...photos);
    this.#since = next;
    return { more };
  }
}

/** Has every state noted that a photo is in, from now on. */
export async function noteStates(sql: postgres.Sql): Promise<void> {
  await sql.unsafe(NOTE_STATES);
}

/** Searches for people as an application does, by a picture or by a face. */
export class Searcher {
  readonly #cloud: Cloud;
  readonly #lambda: LambdaClient;

  constructor(cloud: Cloud) {
    this.#cloud = cloud;
    this.#lambda = new LambdaClient({ ...localClientOptions, endpoint: cloud.services.endpoints.lambda });
  }

  close(): void {
    this.#lambda.destroy();
  }

  /**
   * @param chance from 0 to 1, which decides about who is searched for
   * @param named face ids that somebody asked to be erased
   * @returns what is shown; undefined where the search could not be made
   */
  async search(
    eventId: string,
    chance: number,
    named: readonly string[],
  ): Promise<FindPersonAnswer['photos'] | undefined> {
    const who = await this.#someone(eventId, chance, named);
    const { Payload, FunctionError } = await this.#lambda.send(
      new InvokeCommand({
        FunctionName: this.#cloud.outputs.FindPersonFunctionName!,
        Payload: JSON.stringify({ event_id: eventId, ...who }),
      }),
    );
    // The database may be away just now, or Rekognition.
    if (FunctionError) {
      return undefined;
    }
    return (JSON.parse(Buffer.from(Payload!).toString()) as FindPersonAnswer).photos;
  }

  async #someone(
    eventId: string,
    chance: number,
    named: readonly string[],
  ): Promise<{ image: string } | { face_id: string }> {
    const { Faces: faces = [] } = await this.#cloud.rekognition
      .send(new ListFacesCommand({ CollectionId: `${this.#cloud.collectionPrefix}${eventId}` }))
      .catch(() => ({ Faces: [] }));
    const ids = [...named, ...faces.flatMap(({ FaceId }) => FaceId ?? [])];
    const face_id = chance < 0.7 ? ids[Math.floor((chance / 0.7) * ids.length)] : undefined;
    return face_id === undefined
      ? { image: (await photoWith(1, { group: Math.floor(chance * GROUPS) })).toString('base64') }
      : { face_id };
  }
}
