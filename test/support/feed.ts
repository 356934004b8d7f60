/** What must hold of the feed of changes: it is told in the order in which things happened, and nothing is left out. Pure. */
import type { PhotoAnswer } from '../../lambdas/shared/contract/gallery.ts';

/** A photo as the view `gallery_photos` has it. */
export interface GalleryRow {
  photo_id: string;
  object_key: string;
  status: string;
  faces: { face_id: string | null }[];
  failure_code: string | null;
}

/** A state that a photo was in, as a trigger noted it. */
export interface NotedState {
  /** In the order of what was written; of one photo that is the order in which it happened. */
  n: number;
  photo_id: string;
  object_key: string;
  status: string;
  face_count: number | null;
  failure_code: string | null;
}

/**
 * Notes every state of a photo that others can see. In a schema of its own, for a superuser to install.
 *
 * @returns statements
 */
export const NOTE_STATES = `
  CREATE SCHEMA IF NOT EXISTS feed_audit;
  CREATE TABLE IF NOT EXISTS feed_audit.states (n bigserial, photo_id uuid, event_id uuid, object_key text, status text,
    face_count integer, failure_code text);
  CREATE OR REPLACE FUNCTION feed_audit.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
  BEGIN
    INSERT INTO feed_audit.states (photo_id, event_id, object_key, status, face_count, failure_code)
    VALUES (NEW.id, NEW.event_id, NEW.object_key, NEW.status::text, NEW.face_count, NEW.failure_code);
    RETURN NULL;
  END $$;
  CREATE OR REPLACE TRIGGER photo_state_added AFTER INSERT ON rollcall.photos FOR EACH ROW EXECUTE FUNCTION feed_audit.note();
  CREATE OR REPLACE TRIGGER photo_state_changed AFTER UPDATE ON rollcall.photos FOR EACH ROW
    WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION feed_audit.note()`;

/**
 * Whoever has read the feed to its end, with no transaction open, knows every photo as it is.
 *
 * @param told what was told since the beginning, in that order
 * @returns what does not hold, one line each
 */
export function unknownChanges(told: readonly PhotoAnswer[], rows: readonly GalleryRow[]): string[] {
  const latest = new Map(told.map((photo) => [photo.photo_id, photo]));
  return differences('a follower', [...latest.values()].map(shownAnswer).sort(), rows.map(shownRow).sort());
}

/** Read from its start, the feed tells of each photo once, and as it is. */
export function wrongReplay(replayed: readonly PhotoAnswer[], rows: readonly GalleryRow[]): string[] {
  return differences('the feed from its start', replayed.map(shownAnswer).sort(), rows.map(shownRow).sort());
}

function shownRow({ photo_id, object_key, status, faces, failure_code }: GalleryRow): string {
  const ids = faces.map(({ face_id }) => face_id).sort();
  return JSON.stringify([photo_id, object_key, status, status === 'failed' ? failure_code : null, ids]);
}

function shownAnswer({ photo_id, key, status, faces, failure }: PhotoAnswer): string {
  return JSON.stringify([
    photo_id,
    key,
    status,
    failure?.code ?? null,
    faces.map(({ face_id }) => face_id).sort(),
  ]);
}

/** Both are sorted. */
function differences(who: string, is: readonly string[], expected: readonly string[]): string[] {
  const missing = expected.filter((one) => !is.includes(one));
  const wrong = is.filter((one, i) => !expected.includes(one) || is[i - 1] === one);
  return [
    ...missing.map((one) => `${who} does not tell ${one}`),
    ...wrong.map((one) => `${who} tells ${one}`),
  ];
}

/** Of one photo each thing that was told came after the one before, and with the faces that it had then. */
export function outOfOrder(told: readonly PhotoAnswer[], states: readonly NotedState[]): string[] {
  const noted = Map.groupBy(states, ({ photo_id }) => photo_id);
  const place = new Map<string, number>();
  return told.flatMap((photo) => {
    const isSame = (state: NotedState) =>
      state.object_key === photo.key &&
      state.status === photo.status &&
      (photo.status !== 'failed' || state.failure_code === photo.failure?.code) &&
      (photo.status === 'indexed' ? (state.face_count ?? 0) : 0) === photo.faces.length;
    const after = (noted.get(photo.photo_id) ?? []).find(
      (state) => state.n > (place.get(photo.photo_id) ?? 0) && isSame(state),
    );
    if (!after) {
      return [`${shownAnswer(photo)} is told out of order, or was never so`];
    }
    place.set(photo.photo_id, after.n);
    return [];
  });
}
