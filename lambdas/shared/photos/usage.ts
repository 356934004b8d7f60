/** Who pays for what: one row in `paid_images` for each billed call, which the view `usage` adds up. */

import { IMAGE_USD } from '../contract/prices.ts';
import type { Transaction } from './rows.ts';

export interface PaidImage {
  event_id: string;
  photo_id: string;
  /** When Rekognition was asked, milliseconds since the epoch: with the photo, the identity of the call. */
  calledMs: number;
  /** Faces that it stored. */
  faces: number;
}

/** Counts a billed call, once however often it is told. */
export async function recordPaidImage(
  sql: Transaction,
  { event_id, photo_id, calledMs, faces }: PaidImage,
): Promise<void> {
  await sql`
    INSERT INTO paid_images (photo_id, called_at, event_id, photographer_id, faces, estimated_usd)
    VALUES (${photo_id}, ${new Date(calledMs)}, ${event_id},
            (SELECT photographer_id FROM events WHERE id = ${event_id}), ${faces}, ${IMAGE_USD})
    ON CONFLICT DO NOTHING`;
}
