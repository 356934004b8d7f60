/** The API of what happened: its routes and what its answers look like. docs/openapi.json describes the same to others. */
import type { FaceBox } from './face-box.ts';
import type { TimeLeft } from './time-left.ts';

/** As API Gateway's HTTP APIs write them, and as docs/openapi.json has them. All are read with GET. */
export const galleryRoutes = {
  event: '/events/{event}',
  photos: '/events/{event}/photos',
  changes: '/events/{event}/changes',
} as const;

export const PHOTO_STATES = ['processing', 'indexed', 'failed', 'deleted', 'erased'] as const;
export type PhotoState = (typeof PHOTO_STATES)[number];

/** Photos in one answer: a hundred faces each are 2 MB, a third of what Lambda may answer. */
export const MAX_PHOTOS = 100;
export const DEFAULT_PHOTOS = 50;

/** How long a photo's address is good for. */
export const PHOTO_URL_SECONDS = 300;

/** All times are ISO 8601 in UTC. */
export interface EventAnswer {
  event_id: string;
  name: string | null;
  photos: Record<PhotoState, number>;
  /** In the photos that are indexed. */
  faces: number;
  /** When its first photo was announced; null while it has none. */
  started_at: string | null;
  /** When anything last changed; null while it has no photo. */
  changed_at: string | null;
  time_left: TimeLeft;
}

export interface FaceAnswer {
  /** Rekognition's, as a search names it; null where Rekognition named none. */
  face_id: string | null;
  box: FaceBox | null;
  /** Percent. */
  confidence: number | null;
}

export interface PhotoAnswer {
  photo_id: string;
  key: string;
  status: PhotoState;
  /** Of an indexed photo; empty for every other. */
  faces: FaceAnswer[];
  /** Of a failed photo. */
  failure: { code: string; message: string | null; retryable: boolean } | null;
  created_at: string;
  /** When it was indexed, failed or deleted. */
  ended_at: string | null;
  changed_at: string;
  /** Where the picture can be read for `PHOTO_URL_SECONDS`, where that was asked for and it is there. */
  url?: string | null;
}

export interface PhotosAnswer {
  photos: PhotoAnswer[];
  /** What the next page comes `after`; null on the last one. */
  next: string | null;
}

export interface ChangesAnswer {
  /** Each with its state of now, those that changed first before the others. */
  photos: PhotoAnswer[];
  /** What the next question asks `since`, also where nothing changed. */
  next: string;
  /** Whether there is more already. */
  more: boolean;
}

/** RFC 9457, as application/problem+json. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
}
