/**
 * Finding a person: what is asked of find-person, what it answers, and what it asks of resolve-faces.
 *
 * No message of this module repeats what it was sent: a selfie must not end up in a log by being malformed.
 */

import * as v from 'valibot';
import type { FaceBox } from './face-box.ts';
import { isStorable } from './storable.ts';

/**
 * Bytes of a picture to search with. Rekognition takes 5 MiB in a request; Lambda takes 6 MB of payload, also behind API
 * Gateway (which itself takes 10 MB), and in JSON the picture is Base64, a third longer: 6,000,000 characters, which leave
 * 290 KB for the rest of an event.
 * https://docs.aws.amazon.com/rekognition/latest/dg/limits.html
 * https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
 */
export const MAX_SELFIE_BYTES = 4_500_000;
export const MAX_SELFIE_BASE64 = Math.ceil(MAX_SELFIE_BYTES / 3) * 4;

/** Pixels of either side that Rekognition needs: https://docs.aws.amazon.com/rekognition/latest/dg/limits.html */
export const MIN_SELFIE_SIDE = 80;

/**
 * Percent. The default is Rekognition's own, and the one that AWS names for photo collections; a search may be stricter and
 * never laxer, so that no question lists the faces of strangers. docs/find.md has the argument and what was measured.
 */
export const MIN_SIMILARITY = 80;
export const DEFAULT_SIMILARITY = 80;

/** Photos in one answer. */
export const MAX_FOUND = 1_000;
export const DEFAULT_FOUND = 100;

/** Matches in one response of Rekognition: https://docs.aws.amazon.com/rekognition/latest/dg/limits.html */
export const MAX_MATCHES = 4_096;

const MAX_REFERENCE = 200;

/** Of the HTTP API, as `galleryRoutes` are. Both are asked with POST. */
export const searchRoutes = {
  /** With a picture as the request's body. */
  find: '/events/{event}/find',
  /** With a face that an answer of the API named. */
  findFace: '/events/{event}/faces/{face}/find',
} as const;

/** What a picture may be, as `content-type`: whatever else is a text for API Gateway, which would change its bytes. */
export const SELFIE_TYPES = ['image/jpeg', 'image/png'] as const;

/**
 * Why a search has no photos to show, by name: what people are told, and the HTTP status and problem type of a route that
 * passes it on.
 */
export const searchReasons = {
  InvalidImage: { status: 400, type: 'invalid-image', says: 'The picture is not a JPEG or PNG.' },
  ImageTooLarge: {
    status: 413,
    type: 'image-too-large',
    says: `The picture has more than ${MAX_SELFIE_BYTES.toLocaleString('en-US')} bytes: scale it down.`,
  },
  ImageTooSmall: {
    status: 422,
    type: 'image-too-small',
    says: `The picture has fewer than ${MIN_SELFIE_SIDE} pixels at one side.`,
  },
  NoFace: { status: 422, type: 'no-face', says: 'There is no face in the picture.' },
  FaceUnclear: {
    status: 422,
    type: 'face-unclear',
    says: 'The face in the picture is too small, too dark, blurred or turned away: take another picture.',
  },
  FaceUnknown: { status: 404, type: 'unknown-face', says: 'The event has no such face.' },
  NobodyFound: { status: 200, type: 'nobody-found', says: 'No photo of the event shows this person.' },
  EventUnknown: { status: 404, type: 'unknown-event', says: 'There is no such event.' },
  EventErased: { status: 410, type: 'event-erased', says: 'The faces of this event were erased.' },
  EventOver: { status: 410, type: 'event-over', says: 'The event is over: its faces are no longer kept.' },
  SearchBusy: { status: 429, type: 'search-busy', says: 'Too many people are searching at this moment.' },
  SearchLimitReached: {
    status: 429,
    type: 'search-limit-reached',
    says: 'There were too many searches: this one has to wait.',
  },
  DailySearchCapReached: {
    status: 429,
    type: 'daily-search-cap-reached',
    says: "The day's searches are used up, until midnight UTC.",
  },
} as const satisfies Record<string, { status: number; type: string; says: string }>;

export type SearchReason = keyof typeof searchReasons;

const text = (max: number, what: string) =>
  v.pipe(
    v.string(`${what} is not a text`),
    v.check((value) => value.length > 0 && value.length <= max, `${what} has 1 to ${max} characters`),
    v.check(isStorable, `${what} holds characters that PostgreSQL cannot store`),
  );
const id = (what: string) =>
  v.pipe(v.string(`${what} is not a text`), v.uuid(`${what} is not a UUID`), v.toLowerCase());
const numberIn = (min: number, max: number, what: string) =>
  v.pipe(
    v.number(`${what} is not a number`),
    v.check((value) => value >= min && value <= max, `${what} is from ${min} to ${max}`),
  );

/** What is asked of find-person. Exactly one of `image` and `face_id`. */
export const findPersonRequestSchema = v.pipe(
  v.object(
    {
      event_id: id('event_id'),
      /** A JPEG or PNG in Base64. If it shows several faces, the largest is searched for. */
      image: v.optional(v.string('image is not Base64')),
      /** A face of the event's collection. */
      face_id: v.optional(id('face_id')),
      /** Percent, from which on a face is taken for the same person's. */
      similarity: v.optional(numberIn(MIN_SIMILARITY, 100, 'similarity'), DEFAULT_SIMILARITY),
      /** Photos in the answer. */
      limit: v.optional(
        v.pipe(numberIn(1, MAX_FOUND, 'limit'), v.integer('limit is not a whole number')),
        DEFAULT_FOUND,
      ),
      /** Where an earlier answer with the same picture ended. */
      cursor: v.optional(text(MAX_REFERENCE, 'cursor')),
      /** The caller's own word for this search, kept in the table `searches`. */
      reference: v.optional(text(MAX_REFERENCE, 'reference')),
      /**
       * Who asks, for the limit of searches by one caller: an account or a session of the application. To be set by whoever
       * knows who asks, and not by who asks.
       */
      caller: v.optional(text(MAX_REFERENCE, 'caller')),
    },
    'The request is not an object with an event_id',
  ),
  v.check(
    ({ image, face_id }) => (image === undefined) !== (face_id === undefined),
    'A search takes either an image or a face_id',
  ),
);
export type FindPersonRequest = v.InferOutput<typeof findPersonRequestSchema>;

export interface FoundPhoto {
  photo_id: string;
  /** 0 to 100, of the face in this photo that is most like the searched one; 100 for a `face_id`'s own photo. */
  similarity: number;
  face_id: string;
  /** Where that face is in the photo; null where it is not known. */
  box: FaceBox | null;
}

export const searchedFaces = {
  largest_of_image: 'If the picture shows several faces, the largest was searched for.',
  face_id: 'The face of a photo was searched for.',
} as const;

/** What find-person answers; a search that could not be made is thrown. */
export interface FindPersonAnswer {
  event_id: string;
  /** Why `photos` is empty; null where it is not. */
  reason: SearchReason | null;
  /** `reason` for people. */
  message: string | null;
  /** After how many seconds it is worth to ask again; null where that changes nothing. */
  retry_after_seconds: number | null;
  similarity: number;
  /**
   * The face that was searched with: where it is in the picture that was sent, or in its own photo; `message` says it to
   * people. Of several in one picture it is always the largest: Rekognition chooses it, and does not say whether there were
   * others.
   */
  searched: { face: keyof typeof searchedFaces; message: string; box: FaceBox | null } | null;
  /** The most similar first. */
  photos: FoundPhoto[];
  /** Photos in all, on this page and others. */
  found: number;
  /** For the next page; null where there is none. */
  cursor: string | null;
  /** Whether Rekognition had more matches than it tells: photos of little similarity may be missing. */
  is_cut: boolean;
}

/** What find-person asks of resolve-faces: which of these faces are still shown. */
export const resolveFacesRequestSchema = v.object({
  event_id: v.pipe(v.string(), v.uuid()),
  kind: v.picklist(['image', 'face']),
  /** The face that was searched with, where it is one of the event. */
  searched_face_id: v.nullable(v.pipe(v.string(), v.uuid())),
  face_ids: v.pipe(v.array(v.pipe(v.string(), v.uuid())), v.maxLength(MAX_MATCHES)),
  reference: v.nullable(text(MAX_REFERENCE, 'reference')),
});
export type ResolveFacesRequest = v.InferOutput<typeof resolveFacesRequestSchema>;

export interface ResolvedFaces {
  event: 'searchable' | 'unknown' | 'erased' | 'over';
  /** Those of `face_ids` that are shown, and the photo of each. */
  faces: [face_id: string, photo_id: string][];
  /** The face that was searched with; null where it is none of the event any more. */
  searched: { photo_id: string; box: FaceBox | null } | null;
}
