/** Rows of the database as the operator's commands and the reconciliation get them. */
import type { OtherObject, PhotoStatus } from './standing.ts';

export interface EventRow {
  id: string;
  rekognition_collection_id: string | null;
  /** What was uploaded before this is not to be indexed any more; ISO 8601. */
  erasure_requested_at: string | null;
}

export interface PhotoRow {
  id: string;
  event_id: string;
  status: PhotoStatus;
  object_key: string;
  object_version: string | null;
  object_sequencer: string | null;
  other_objects: Readonly<Record<string, OtherObject>> | null;
  face_count: number | null;
  failure_code: string | null;
  failure_message: string | null;
  failure_retryable: boolean | null;
  execution_arn: string | null;
  /** ISO 8601. */
  created_at: string;
  /** When it was indexed or failed, ISO 8601. */
  ended_at: string | null;
}

/** An upload whose key belongs to no event. */
export interface MisplacedUpload {
  object_key: string;
  failure_code: string;
  failure_message: string;
  execution_arn: string;
  /** ISO 8601. */
  failed_at: string;
}

export interface FaceRow {
  id: string;
  photo_id: string;
  rekognition_face_id: string | null;
}
