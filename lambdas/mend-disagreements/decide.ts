/** What becomes of each finding: what a run mends, what waits, what is left to a person. No I/O. */

import type { Finding } from '../shared/reconciliation/compare.ts';
import {
  type Disagreement,
  MAX_ASKED,
  type Mending,
  type MendingQuestion,
  type Reconciliation,
} from '../shared/reconciliation/contract.ts';
import { deletionOf, indexingOf, isIndexable } from '../shared/reconciliation/mending.ts';

export interface FoundEvent {
  eventId: string;
  findings: readonly Finding[];
}

export interface Decision {
  mending: Mending;
  questions: MendingQuestion[];
  disagreements: Disagreement[];
  images_left: number;
  deletions_left: number;
}

/**
 * @param context.mayIndex whether nobody and nothing holds the billed calls
 */
export function decide(
  found: readonly FoundEvent[],
  {
    images_left,
    deletions_left,
    settled,
  }: Pick<Reconciliation, 'images_left' | 'deletions_left' | 'settled'>,
  { bucket, collectionPrefix, mayIndex }: { bucket: string; collectionPrefix: string; mayIndex: boolean },
): Decision {
  const decision: Decision = {
    mending: { index: [], deletions: [] },
    questions: [],
    disagreements: [],
    images_left,
    deletions_left,
  };
  const lost: { event_id: string; photo_id: string; face_id: string }[] = [];
  /** Of the one question about strays that fits beside that about lost faces. */
  let strays: Extract<MendingQuestion, { ask: 'remove_faces' }> | undefined;
  /** The same of needless responses. */
  let responses: Extract<MendingQuestion, { ask: 'remove_responses' }> | undefined;

  for (const { eventId, findings } of found) {
    for (const finding of findings) {
      if (finding.kind === 'foreign_face') {
        // Rollcall put it nowhere, and does not tell whose it is.
        continue;
      }
      const fate = fateOf(eventId, finding);
      decision.disagreements.push({
        kind: finding.kind,
        event_id: eventId,
        about: finding.kind === 'face_of_two_photos' ? finding.faceId : finding.photoId,
        fate,
      });
    }
  }
  if (lost.length > 0) {
    decision.questions.push({ ask: 'lose_faces', photos: lost });
  }
  decision.questions.push(...[strays, responses].filter((question) => question !== undefined));
  return decision;

  function fateOf(
    event_id: string,
    finding: Exclude<Finding, { kind: 'foreign_face' }>,
  ): Disagreement['fate'] {
    if (isIndexable(finding)) {
      if (!mayIndex || lost.length === MAX_ASKED) {
        return 'waiting';
      }
      if (decision.images_left === 0) {
        return 'left';
      }
      decision.images_left--;
      decision.mending.index.push(indexingOf(bucket, finding));
      if (finding.kind === 'faces_lost') {
        lost.push({ event_id, photo_id: finding.photoId, face_id: finding.faceIds[0]! });
      }
      return 'mending';
    }
    switch (finding.kind) {
      case 'object_gone':
        if (decision.deletions_left === 0) {
          return 'waiting';
        }
        decision.deletions_left--;
        decision.mending.deletions.push(deletionOf(finding));
        return 'mending';
      case 'stray_faces': {
        strays ??= {
          ask: 'remove_faces',
          event_id,
          collection_id: `${collectionPrefix}${event_id}`,
          faces: [],
        };
        const room = strays.event_id === event_id ? MAX_ASKED - strays.faces.length : 0;
        strays.faces.push(
          ...finding.faceIds.slice(0, room).map((face_id) => ({ photo_id: finding.photoId, face_id })),
        );
        return room > 0 ? 'mending' : 'waiting';
      }
      case 'needless_responses': {
        responses ??= { ask: 'remove_responses', event_id, photo_ids: [], before: settled };
        const hasRoom = responses.event_id === event_id && responses.photo_ids.length < MAX_ASKED;
        if (hasRoom) {
          responses.photo_ids.push(finding.photoId);
        }
        return hasRoom ? 'mending' : 'waiting';
      }
      default:
        return 'left';
    }
  }
}
