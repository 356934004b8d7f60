/** find-person with everything around it in memory: what it asks for, and what it is answered. */
import { randomUUID } from 'node:crypto';
import type { RekognitionClient } from '@aws-sdk/client-rekognition';
import { type FindPersonDeps, findPerson } from '../../lambdas/find-person/find-person.ts';
import { parseRequest } from '../../lambdas/shared/contract/payloads.ts';
import { findPersonRequestSchema, type ResolvedFaces } from '../../lambdas/shared/contract/search.ts';
import { fakeClient } from './fake-client.ts';
import { recordingTelemetry } from './recording-telemetry.ts';

export const EVENT = '0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77';
export const NOON = Date.parse('2026-05-01T12:00:00Z');
export const NO_FACE = 'There are no faces in the image. Should be at least 1.';

/** A PNG of this size, as far as anybody looks before Rekognition does; the rest is a secret. */
export function picture(width = 200, height = 200, secret = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(33);
  Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13]).copy(head);
  head.write('IHDR', 12, 'latin1');
  head.writeUInt32BE(width, 16);
  head.writeUInt32BE(height, 20);
  return Buffer.concat([head, secret]);
}

export interface Matched {
  face_id: string;
  photo_id: string;
  similarity: number;
}

function match({ face_id, photo_id, similarity }: Matched) {
  return {
    Similarity: similarity,
    Face: {
      FaceId: face_id,
      ExternalImageId: photo_id,
      BoundingBox: { Left: 0.1, Top: 0.2, Width: 0.3, Height: 0.4 },
    },
  };
}

export const matched = (similarity: number, photo_id: string = randomUUID()): Matched => ({
  face_id: randomUUID(),
  photo_id,
  similarity,
});

export function searchWorld({
  matches = [],
  throws = [],
  event = 'searchable',
  hidden = [],
  searched = null,
  ledger = {},
  limit,
  keptMs,
  now = () => NOON,
}: {
  matches?: Matched[];
  /** What Rekognition's calls throw, one after the other; undefined lets one through. */
  throws?: (Error | undefined)[];
  event?: ResolvedFaces['event'];
  hidden?: string[];
  searched?: ResolvedFaces['searched'];
  ledger?: Partial<FindPersonDeps['ledger']>;
  /** Milliseconds. */
  limit?: number;
  /** The place in line that was kept for the caller. */
  keptMs?: number;
  now?: () => number;
} = {}) {
  const answer = () => {
    const error = throws.shift();
    if (error) {
      throw error;
    }
    return {
      FaceMatches: matches.map(match),
      SearchedFaceBoundingBox: { Left: 0.5, Top: 0.5, Width: 0.1, Height: 0.1 },
    };
  };
  const rekognition = fakeClient<RekognitionClient>({ SearchFacesByImage: answer, SearchFaces: answer });
  const recording = recordingTelemetry();
  const resolved: unknown[] = [];
  const told: string[] = [];
  const kept: [caller: string, placeMs: number][] = [];
  /** The line is empty for whoever comes first. */
  let places = NOON;
  const slot = { slotMs: NOON, intervalMs: 20, cuts: 0, day: 20260501 };
  const deps: FindPersonDeps = {
    rekognition: rekognition.client,
    telemetry: recording.telemetry,
    ledger: {
      takeSlot: async () => slot,
      joinLine: async () => {
        const place = places;
        places += 12_000;
        return place;
      },
      reportThrottle: async () => void told.push('throttle'),
      giveBack: async () => void told.push('give back'),
      ...ledger,
    },
    limits: {
      take: async () => (limit === undefined ? { placeMs: keptMs } : { waitMs: limit }),
      keepPlace: async (caller, placeMs) => void kept.push([caller, placeMs]),
    },
    collectionPrefix: 'rollcall-',
    async resolveFaces(request) {
      resolved.push(request);
      const faces = matches
        .filter(({ face_id }) => !hidden.includes(face_id))
        .map(({ face_id, photo_id }): [string, string] => [face_id, photo_id]);
      return event === 'searchable' ? { event, faces, searched } : { event, faces: [], searched: null };
    },
    now,
  };
  const find = (request: object = {}) =>
    findPerson(
      deps,
      parseRequest(findPersonRequestSchema, {
        event_id: EVENT,
        ...('face_id' in request ? {} : { image: picture().toString('base64') }),
        ...request,
      }),
    );
  return { find, deps, calls: rekognition.calls, recording, resolved, told, kept };
}
