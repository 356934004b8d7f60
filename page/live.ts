/** What is kept up to date while it is looked at. */
import { useEffect, useState } from 'preact/hooks';
import {
  type EventAnswer,
  type LocalEvents,
  type PhotoAnswer,
  readChanges,
  readEvent,
  readEvents,
} from './api.ts';

/** Between two questions, while photos are on their way and otherwise. */
const SOON_MS = 700;
const LATER_MS = 3_000;

export interface Live {
  summary: EventAnswer | undefined;
  /** The newest first, without those that are deleted. */
  photos: readonly PhotoAnswer[];
  /** Why nothing new is shown; undefined where it is. */
  trouble: string | undefined;
}

const NOTHING: Live = { summary: undefined, photos: [], trouble: undefined };

/** An event: all of its photos first, and from then on what changes. */
export function useEvent(event: string | undefined): Live {
  const [live, setLive] = useState(NOTHING);
  useEffect(() => {
    setLive(NOTHING);
    const photos = new Map<string, PhotoAnswer>();
    let since: string | undefined;
    return event === undefined
      ? undefined
      : repeat(async () => {
          let isMore = true;
          let isNew = since === undefined;
          while (isMore) {
            const changes = await readChanges(event, since);
            for (const photo of changes.photos) {
              photos.set(photo.photo_id, photo);
            }
            isNew ||= changes.photos.length > 0;
            since = changes.next;
            isMore = changes.more;
          }
          const summary = await readEvent(event);
          return {
            show: () =>
              setLive((before) => ({
                summary,
                photos: isNew ? shown(photos) : before.photos,
                trouble: undefined,
              })),
            isBusy: summary.photos.processing > 0,
          };
        }, setLive);
  }, [event]);
  return live;
}

function shown(photos: ReadonlyMap<string, PhotoAnswer>): PhotoAnswer[] {
  return [...photos.values()]
    .filter(({ status }) => status !== 'deleted')
    .sort((a, b) =>
      a.created_at < b.created_at ? 1 : a.created_at > b.created_at ? -1 : a.key < b.key ? -1 : 1,
    );
}

/** Asks again and again until it is told to stop. */
function repeat(
  look: () => Promise<{ show(): void; isBusy: boolean }>,
  setLive: (change: (before: Live) => Live) => void,
): () => void {
  let isOver = false;
  let timer: ReturnType<typeof setTimeout>;
  const next = async (): Promise<void> => {
    let wait = LATER_MS;
    try {
      const { show, isBusy } = await look();
      wait = isBusy ? SOON_MS : LATER_MS;
      if (!isOver) {
        show();
      }
    } catch (error) {
      if (!isOver) {
        setLive((before) => ({ ...before, trouble: (error as Error).message }));
      }
    }
    if (!isOver) {
      timer = setTimeout(() => void next(), wait);
    }
  };
  void next();
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}

/** The events that there are; asked for again whenever `asked` changes, and every few seconds. */
export function useEvents(asked: unknown): LocalEvents | undefined {
  const [events, setEvents] = useState<LocalEvents>();
  useEffect(() => {
    const look = () => void readEvents().then(setEvents, () => {});
    look();
    const timer = setInterval(look, LATER_MS);
    return () => clearInterval(timer);
  }, [asked]);
  return events;
}
