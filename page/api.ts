/** What the page asks: the HTTP API as any application would, and the local run for what only one machine can tell. */
import type { ChangesAnswer, EventAnswer, PhotoAnswer, Problem } from '../lambdas/shared/contract/gallery.ts';
import type { FindPersonAnswer } from '../lambdas/shared/contract/search.ts';
import type { ExecutionAnswer, LocalEvents } from '../local/page/answers.ts';

export type { EventAnswer, ExecutionAnswer, FindPersonAnswer, LocalEvents, PhotoAnswer };

/** An answer that is none: its message is for people. */
export class Refused extends Error {}

export const readEvents = (): Promise<LocalEvents> => ask('/local/events');

export const readEvent = (event: string): Promise<EventAnswer> => ask(`/events/${event}`);

/** What changed since the last time; from the beginning without `since`. */
export const readChanges = (event: string, since: string | undefined): Promise<ChangesAnswer> =>
  ask(`/events/${event}/changes?${new URLSearchParams({ limit: '100', ...(since && { since }) })}`);

export const readExecutions = (key: string): Promise<ExecutionAnswer[]> =>
  ask(`/local/executions?${new URLSearchParams({ key })}`);

/** As many photos as one answer holds: a page of this machine shows no second one. */
const FOUND = '1000';

export const findByFace = (event: string, face: string): Promise<FindPersonAnswer> =>
  ask(`/events/${event}/faces/${face}/find?limit=${FOUND}`, { method: 'POST' });

export const findByPicture = (event: string, picture: File): Promise<FindPersonAnswer> =>
  ask(`/events/${event}/find?limit=${FOUND}`, {
    method: 'POST',
    headers: { 'content-type': picture.type === 'image/png' ? 'image/png' : 'image/jpeg' },
    body: picture,
  });

export async function upload(key: string, file: File): Promise<void> {
  await answered(await fetch(`/local/photo?${new URLSearchParams({ key })}`, { method: 'PUT', body: file }));
}

export function pictureUrl({ key, changed_at }: PhotoAnswer, size: 480 | 1600): string {
  return `/local/picture?${new URLSearchParams({ key, size: String(size), at: changed_at })}`;
}

async function ask<Answer>(path: string, init?: RequestInit): Promise<Answer> {
  return (await (await answered(await fetch(path, init))).json()) as Answer;
}

async function answered(response: Response): Promise<Response> {
  if (!response.ok) {
    const { detail } = (await response.json().catch(() => ({}))) as Partial<Problem>;
    throw new Refused(detail ?? `The local run answered ${response.status}.`);
  }
  return response;
}
