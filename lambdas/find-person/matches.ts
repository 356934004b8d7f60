/** From Rekognition's matches to pages of photos. No I/O. */
import type { FaceMatch } from '@aws-sdk/client-rekognition';
import type { FaceBox } from '../shared/contract/face-box.ts';
import { isUuid } from '../shared/contract/photo-key.ts';
import type { FoundPhoto, ResolvedFaces } from '../shared/contract/search.ts';
import { faceBoxOf } from '../shared/rekognition/bounding-box.ts';

export interface Match {
  face_id: string;
  /** 0 to 100 */
  similarity: number;
  box: FaceBox | null;
}

/** What Rekognition found, without what it cannot name. */
export function matchesOf(found: readonly FaceMatch[] | undefined): Match[] {
  return (Array.isArray(found) ? (found as readonly FaceMatch[]) : []).flatMap((match) => {
    const faceId = match?.Face?.FaceId?.toLowerCase();
    const similarity = match?.Similarity;
    return isUuid(faceId) && typeof similarity === 'number' && Number.isFinite(similarity)
      ? [{ face_id: faceId, similarity, box: faceBoxOf(match.Face?.BoundingBox) }]
      : [];
  });
}

/** The photos of those matches that are shown, each by its most similar face; the most similar photo first. */
export function photosOf(matches: readonly Match[], shown: ResolvedFaces['faces']): FoundPhoto[] {
  const byFace = new Map(matches.map((match) => [match.face_id, match]));
  const best = new Map<string, FoundPhoto>();
  for (const [face_id, photo_id] of shown) {
    const match = byFace.get(face_id);
    if (match && match.similarity > (best.get(photo_id)?.similarity ?? Number.NEGATIVE_INFINITY)) {
      best.set(photo_id, { photo_id, ...match });
    }
  }
  return [...best.values()].sort(inOrder);
}

type Place = Pick<FoundPhoto, 'similarity' | 'photo_id'>;

/** By similarity, and of the same similarity by id: so that no photo is on two pages. A photo does not come before itself. */
function inOrder(a: Place, b: Place): number {
  return b.similarity - a.similarity || (a.photo_id < b.photo_id ? -1 : 1);
}

/** A cursor is the place of the last photo that was shown: photos that come or go meanwhile move no other. */
export function cursorAfter({ similarity, photo_id }: Place): string {
  return Buffer.from(`${similarity} ${photo_id}`).toString('base64url');
}

/** The place that a cursor names; undefined for one that was invented. */
export function placeOf(cursor: string): Place | undefined {
  const [similarity, photo_id, ...more] = Buffer.from(cursor, 'base64url').toString('latin1').split(' ');
  const number = Number(similarity);
  return similarity && Number.isFinite(number) && isUuid(photo_id) && more.length === 0
    ? { similarity: number, photo_id }
    : undefined;
}

export function pageOf(
  photos: readonly FoundPhoto[],
  { after, limit }: { after: Place | undefined; limit: number },
): { photos: FoundPhoto[]; cursor: string | null } {
  const rest = after ? photos.filter((photo) => inOrder(after, photo) < 0) : photos;
  const page = rest.slice(0, limit);
  const last = page.at(-1);
  return { photos: page, cursor: last && page.length < rest.length ? cursorAfter(last) : null };
}
