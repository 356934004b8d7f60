/** A search for a person: what was searched with, and what came of it. */
import type { FaceBox } from '../lambdas/shared/contract/face-box.ts';
import { type FindPersonAnswer, findByFace, findByPicture } from './api.ts';

export interface Search {
  /** Of the picture that was searched with; it is in this page's memory only. */
  preview: string | undefined;
  box: FaceBox | null;
  answer: FindPersonAnswer | undefined;
  /** What there is to say: that it is at work, why there are no photos, or what was searched with. */
  message: string;
}

export const searching: Search = {
  preview: undefined,
  box: null,
  answer: undefined,
  message: 'Searching …',
};

export function searchByFace(event: string, face: string): Promise<Search> {
  return searched(undefined, findByFace(event, face));
}

export function searchByPicture(event: string, picture: File): Promise<Search> {
  return searched(URL.createObjectURL(picture), findByPicture(event, picture));
}

async function searched(preview: string | undefined, asked: Promise<FindPersonAnswer>): Promise<Search> {
  try {
    const answer = await asked;
    const { searched: face, message } = answer;
    return {
      preview,
      // Of a face of the event, the box is in another picture.
      box: preview === undefined ? null : (face?.box ?? null),
      answer,
      message: message ?? face?.message ?? '',
    };
  } catch (error) {
    return { preview, box: null, answer: undefined, message: (error as Error).message };
  }
}
