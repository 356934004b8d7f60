import {
  type FaceMatch,
  type RekognitionClient,
  SearchFacesByImageCommand,
  type SearchFacesByImageCommandInput,
  SearchFacesCommand,
} from '@aws-sdk/client-rekognition';
import { awsErrorDetails, PipelineError } from '../shared/contract/errors.ts';
import { logEvents, metricNames } from '../shared/contract/names.ts';
import {
  type FindPersonAnswer,
  type FindPersonRequest,
  MAX_MATCHES,
  type ResolvedFaces,
  type ResolveFacesRequest,
  type SearchReason,
  searchedFaces,
  searchReasons,
} from '../shared/contract/search.ts';
import { readSelfie } from '../shared/contract/selfie.ts';
import { GATE_AHEAD_MS, nextDay, type Slot } from '../shared/line/rules.ts';
import type { SlotLedger } from '../shared/line/store.ts';
import { tell } from '../shared/line/tell.ts';
import { faceBoxOf } from '../shared/rekognition/bounding-box.ts';
import { rekognitionError } from '../shared/runtime/aws-errors.ts';
import { countBy, type Telemetry } from '../shared/runtime/telemetry.ts';
import type { SearchLimits } from './limits.ts';
import { matchesOf, pageOf, photosOf, placeOf } from './matches.ts';

export interface FindPersonDeps {
  rekognition: RekognitionClient;
  telemetry: Telemetry;
  /** Of searching, not of IndexFaces. */
  ledger: Pick<SlotLedger, 'takeSlot' | 'joinLine' | 'reportThrottle' | 'giveBack'>;
  limits: SearchLimits;
  collectionPrefix: string;
  /** Asks the function that has the database. */
  resolveFaces(request: ResolveFacesRequest): Promise<ResolvedFaces>;
  /** Milliseconds since the epoch. */
  now(): number;
}

/** Calls of one search that were throttled or not answered, before it is given up. */
const MAX_TRIES = 3;

/** A search is not begun anew after this, however it went: somebody is waiting for its answer. */
const PATIENCE_MS = 6_000;

/** A search whose turn is further away than this is told when to come back: nobody waits for longer in front of a picture. */
const WAIT_MS = GATE_AHEAD_MS.live;

/** An end of a search that is not a failure. */
class Ended extends Error {
  readonly reason: SearchReason;
  readonly retryAfterMs: number | undefined;

  constructor(reason: SearchReason, retryAfterMs?: number) {
    super(reason);
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Sent away with a place in line, milliseconds since the epoch. */
class SentAway extends Ended {
  readonly placeMs: number;

  constructor(placeMs: number, nowMs: number) {
    super('SearchBusy', placeMs - nowMs);
    this.placeMs = placeMs;
  }
}

/**
 * Finds the photos of an event that show the person of a picture, or of a face of the event.
 *
 * The picture is in this function's memory and in the request to Rekognition, and nowhere else: no message, log line or
 * metric is made of it.
 *
 * @throws PipelineError `InvalidInput`, `RekognitionUnavailable`, `QuotaExceeded`, `InvalidParameter`, `AccessDenied`,
 *   `LedgerBusy`, `MissingConfiguration` and the errors of `resolveFaces`
 */
export async function findPerson(
  deps: FindPersonDeps,
  request: FindPersonRequest,
): Promise<FindPersonAnswer> {
  const { telemetry, now } = deps;
  const begunMs = now();
  const answer = await search(deps, request).catch((error: unknown): FindPersonAnswer => {
    if (error instanceof Ended) {
      return withoutPhotos(request, error.reason, error.retryAfterMs);
    }
    if (!isNamed(error, 'InvalidInput')) {
      telemetry.metrics.addMetric(metricNames.searchesFailed, 'Count', 1);
    }
    throw error;
  });
  telemetry.metrics.addMetric(metricNames.searches, 'Count', 1);
  telemetry.metrics.addMetric(metricNames.searchTime, 'Milliseconds', now() - begunMs);
  if (answer.reason !== null) {
    countBy(telemetry, metricNames.searchesWithoutPhotos, answer.reason);
  }
  telemetry.logger.info('A person was searched for', {
    event: logEvents.personSearched,
    event_id: request.event_id,
    kind: kindOf(request),
    reason: answer.reason,
    found: answer.found,
  });
  return answer;
}

function kindOf({ image }: FindPersonRequest): ResolveFacesRequest['kind'] {
  return image === undefined ? 'face' : 'image';
}

async function search(deps: FindPersonDeps, request: FindPersonRequest): Promise<FindPersonAnswer> {
  const after = request.cursor === undefined ? undefined : placeOf(request.cursor);
  if (request.cursor !== undefined && !after) {
    throw new PipelineError('InvalidInput', 'cursor: it is not one of an earlier answer');
  }
  const picture = request.image === undefined ? undefined : readSelfie(request.image);
  if (typeof picture === 'string') {
    throw new Ended(picture);
  }
  const taken = await deps.limits.take(request);
  if ('waitMs' in taken) {
    throw new Ended('SearchLimitReached', taken.waitMs);
  }
  const found = await searchInTurn(deps, request, taken.placeMs, picture);
  const matches = matchesOf(found.matches);
  const resolved = await deps.resolveFaces({
    event_id: request.event_id,
    kind: kindOf(request),
    searched_face_id: request.face_id ?? null,
    face_ids: matches.map(({ face_id }) => face_id),
    reference: request.reference ?? null,
  });
  checkEvent(resolved);
  const { face_id } = request;
  if (face_id !== undefined) {
    if (!resolved.searched) {
      throw new Ended('FaceUnknown');
    }
    // Rekognition leaves out the face itself.
    matches.push({ face_id, similarity: 100, box: resolved.searched.box });
    resolved.faces.push([face_id, resolved.searched.photo_id]);
  }
  const photos = photosOf(matches, resolved.faces);
  if (photos.length === 0) {
    throw new Ended('NobodyFound');
  }
  return {
    ...withoutPhotos(request, null),
    searched:
      face_id === undefined
        ? searchedWith('largest_of_image', found.box)
        : searchedWith('face_id', resolved.searched?.box ?? null),
    ...pageOf(photos, { after, limit: request.limit }),
    found: photos.length,
    is_cut: (found.matches?.length ?? 0) >= MAX_MATCHES,
  };
}

/**
 * A search waits for its turn in line, which is a few seconds away at most, or is told when that is. A caller's place is kept:
 * whoever comes back then has it, however many have come in the meantime.
 */
async function searchInTurn(
  deps: FindPersonDeps,
  request: FindPersonRequest,
  keptMs: number | undefined,
  picture: Buffer | undefined,
): Promise<Found> {
  try {
    const placeMs = keptMs ?? (await joinLine(deps));
    if (placeMs - deps.now() > WAIT_MS) {
      throw new SentAway(placeMs, deps.now());
    }
    return picture
      ? await searchByPicture(deps, request, picture, placeMs)
      : await searchByFace(deps, request, placeMs);
  } catch (error) {
    if (error instanceof SentAway && request.caller !== undefined) {
      await tell(deps, deps.limits.keepPlace(request.caller, error.placeMs));
    }
    throw error;
  }
}

function checkEvent({ event }: ResolvedFaces): void {
  switch (event) {
    case 'unknown':
      throw new Ended('EventUnknown');
    case 'erased':
      throw new Ended('EventErased');
    case 'over':
      throw new Ended('EventOver');
  }
}

function searchedWith(
  face: keyof typeof searchedFaces,
  box: Found['box'],
): NonNullable<FindPersonAnswer['searched']> {
  return { face, message: searchedFaces[face], box };
}

function withoutPhotos(
  { event_id, similarity }: FindPersonRequest,
  reason: SearchReason | null,
  retryAfterMs?: number,
): FindPersonAnswer {
  return {
    event_id,
    reason,
    message: reason === null ? null : searchReasons[reason].says,
    retry_after_seconds: retryAfterMs === undefined ? null : Math.max(1, Math.ceil(retryAfterMs / 1_000)),
    similarity,
    searched: null,
    photos: [],
    found: 0,
    cursor: null,
    is_cut: false,
  };
}

interface Found {
  matches: FaceMatch[] | undefined;
  /** Of the searched face, in the picture that was sent. */
  box: FindPersonAnswer['photos'][number]['box'];
}

/** As without a collection, which is made with an event's first photo and goes with its faces. */
const NOTHING: Found = { matches: [], box: null };

/**
 * Always for as many matches as Rekognition gives: a photo shows a person once, or a few times in a mirror or on a screen, so
 * that thousands of photos fit, whatever number of faces each has. What a page holds is decided after grouping.
 */
async function searchByPicture(
  deps: FindPersonDeps,
  { event_id, similarity }: FindPersonRequest,
  picture: Buffer,
  placeMs: number,
): Promise<Found> {
  const input: SearchFacesByImageCommandInput = {
    CollectionId: `${deps.collectionPrefix}${event_id}`,
    Image: { Bytes: picture },
    FaceMatchThreshold: similarity,
    MaxFaces: MAX_MATCHES,
    QualityFilter: 'AUTO',
  };
  try {
    const answer = await paced(deps, placeMs, () =>
      deps.rekognition.send(new SearchFacesByImageCommand(input)),
    );
    return { matches: answer.FaceMatches, box: faceBoxOf(answer.SearchedFaceBoundingBox) };
  } catch (error) {
    if (isGone(error)) {
      return NOTHING;
    }
    if (!isWithoutFace(error)) {
      throw unreadable(error);
    }
  }
  // Rekognition says the same of a picture without a face, and of one whose faces did not pass the filter.
  try {
    await paced(deps, deps.now(), () =>
      deps.rekognition.send(new SearchFacesByImageCommand({ ...input, MaxFaces: 1, QualityFilter: 'NONE' })),
    );
  } catch (error) {
    if (isGone(error)) {
      return NOTHING;
    }
    throw isWithoutFace(error) ? new Ended('NoFace') : unreadable(error);
  }
  throw new Ended('FaceUnclear');
}

async function searchByFace(
  deps: FindPersonDeps,
  { event_id, face_id, similarity }: FindPersonRequest,
  placeMs: number,
): Promise<Found> {
  try {
    const { FaceMatches: matches } = await paced(deps, placeMs, () =>
      deps.rekognition.send(
        new SearchFacesCommand({
          CollectionId: `${deps.collectionPrefix}${event_id}`,
          FaceId: face_id!,
          FaceMatchThreshold: similarity,
          MaxFaces: MAX_MATCHES,
        }),
      ),
    );
    return { matches, box: null };
  } catch (error) {
    // What is not in the collection is not shown either: resolve-faces tells whether that is because of the event.
    if (isGone(error) || isNamed(error, 'InvalidParameter')) {
      return NOTHING;
    }
    throw error;
  }
}

function isNamed(error: unknown, name: PipelineError['name']): boolean {
  return error instanceof PipelineError && error.name === name;
}

function isGone(error: unknown): boolean {
  return isNamed(error, 'CollectionNotFound');
}

/** https://docs.aws.amazon.com/rekognition/latest/APIReference/API_SearchFacesByImage.html */
function isWithoutFace(error: unknown): boolean {
  return isNamed(error, 'InvalidParameter') && /no faces in the image/i.test((error as Error).message);
}

/** A picture that begins and reads like one, and that Rekognition still does not take. */
function unreadable(error: unknown): unknown {
  if (isNamed(error, 'InvalidImageFormat')) {
    return new Ended('InvalidImage');
  }
  return isNamed(error, 'ImageTooLarge') ? new Ended('ImageTooLarge') : error;
}

/**
 * Calls Rekognition in its turn; and again where it was throttled or did not answer.
 *
 * @param placeMs its place in line, milliseconds since the epoch
 */
async function paced<Answer>(
  deps: FindPersonDeps,
  placeMs: number,
  call: () => Promise<Answer>,
): Promise<Answer> {
  const { now, telemetry, ledger } = deps;
  const deadline = now() + PATIENCE_MS;
  for (let tries = 1; ; tries++) {
    const slot = await takeSlot(deps, tries === 1 ? placeMs : now());
    try {
      const answer = await call();
      telemetry.metrics.addMetric(metricNames.searchesBilled, 'Count', 1);
      return answer;
    } catch (thrown) {
      const error = rekognitionError(thrown);
      const isThrottled = error.name === 'RekognitionThrottled';
      if (isThrottled) {
        await tell(deps, ledger.reportThrottle(slot));
      }
      // AWS charges what it answered with success; without an answer nobody here can know.
      if (awsErrorDetails(thrown).httpStatus === undefined) {
        telemetry.metrics.addMetric(metricNames.searchesBilled, 'Count', 1);
      } else {
        await tell(deps, ledger.giveBack(slot));
      }
      if (!isThrottled && error.name !== 'RekognitionUnavailable') {
        throw error;
      }
      if (tries === MAX_TRIES || now() >= deadline) {
        throw isThrottled ? await sentAway(deps) : error;
      }
    }
  }
}

async function takeSlot(deps: FindPersonDeps, placeMs: number): Promise<Slot> {
  try {
    return await deps.ledger.takeSlot({ lane: 'live', placeMs });
  } catch (error) {
    // The pace was cut since it got its place, or others came late to theirs.
    throw isNamed(error, 'SlotExpired') ? await sentAway(deps) : error;
  }
}

async function sentAway(deps: FindPersonDeps): Promise<SentAway> {
  return new SentAway(await joinLine(deps), deps.now());
}

/** @returns when its turn comes, milliseconds since the epoch */
async function joinLine({ ledger, now }: FindPersonDeps): Promise<number> {
  try {
    return await ledger.joinLine({ lane: 'live', returning: false, throttles: 0 });
  } catch (error) {
    throw isNamed(error, 'DailyImageCapReached')
      ? new Ended('DailySearchCapReached', nextDay(now()) - now())
      : error;
  }
}
