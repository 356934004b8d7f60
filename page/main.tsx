import { type ComponentChildren, render } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { type EventAnswer, type PhotoAnswer, upload } from './api.ts';
import { DropZone } from './drop-zone.tsx';
import type { DroppedFile } from './files.ts';
import { useEvent, useEvents } from './live.ts';
import { PhotoDialog } from './photo-dialog.tsx';
import { fileName, Picture, placeOf } from './picture.tsx';
import { type Search, searchByFace, searchByPicture, searching } from './search.ts';
import { State } from './state.tsx';

/** Photos that are shown before one asks for more. */
const AT_ONCE = 120;

/** Uploads at the same time. */
const UPLOADS = 4;

const FILTERS = ['all', 'processing', 'indexed', 'failed'] as const;
type Filter = (typeof FILTERS)[number];

function Page() {
  const [chosen, choose] = useChosenEvent();
  const [sending, setSending] = useState<string>();
  const local = useEvents(sending);
  const isKnown = local?.events.some(({ event_id }) => event_id === chosen) ?? false;
  const { summary, photos, trouble } = useEvent(isKnown ? chosen : undefined);
  const [filter, setFilter] = useState<Filter>('all');
  const [search, setSearch] = useState<Search>();
  const [opened, setOpened] = useState<string>();

  useEffect(() => {
    if (chosen === undefined && local?.events[0]) {
      choose(local.events[0].event_id);
    }
  }, [chosen, local, choose]);

  const find = (asked: Promise<Search>) => {
    setOpened(undefined);
    setFilter('all');
    setSearch(searching);
    void asked.then(setSearch);
  };
  const onFace = (face: string) => find(searchByFace(chosen!, face));
  const onSelfie = ([first]: DroppedFile[]) => {
    if (first && chosen) {
      find(searchByPicture(chosen, first.file));
    }
  };
  const onPhotos = (files: DroppedFile[]) => {
    const event = chosen ?? crypto.randomUUID();
    choose(event);
    setSearch(undefined);
    void send(`${local?.folder ?? 'events/'}${event}/`, files, setSending);
  };

  const byId = useMemo(() => new Map(photos.map((photo) => [photo.photo_id, photo])), [photos]);
  const found = search?.answer?.photos.flatMap((match) => {
    const photo = byId.get(match.photo_id);
    return photo ? [{ photo, match }] : [];
  });
  const shown: Shown[] = search
    ? (found ?? [])
    : photos
        .filter(({ status }) => filter === 'all' || status === filter)
        .map((photo) => ({ photo, match: undefined }));
  const open = opened === undefined ? undefined : byId.get(opened);

  return (
    <>
      <header>
        <h1>Rollcall</h1>
        <EventChoice
          events={local?.events ?? []}
          chosen={chosen}
          onChoose={(event) => {
            choose(event);
            setSearch(undefined);
          }}
        />
      </header>
      <main>
        <section class="drops" aria-label="Add and find">
          <DropZone id="photos" title="Add photos" takesFolder onFiles={onPhotos}>
            Drop a folder here, or choose one
          </DropZone>
          <DropZone id="selfie" title="Find a person" takesFolder={false} onFiles={onSelfie}>
            Drop a selfie here, or choose one. It is compared and kept nowhere.
          </DropZone>
        </section>
        <p role="status" class="progress">
          {[sending, summary?.time_left.sentence].filter(Boolean).join(' · ')}
        </p>
        {trouble && (
          <p role="alert" class="trouble">
            {trouble}
          </p>
        )}
        {summary && <Counters summary={summary} />}
        {search ? (
          <Result search={search} onEnd={() => setSearch(undefined)} />
        ) : (
          <FilterChoice filter={filter} onChoose={setFilter} />
        )}
        <Photos shown={shown} key={search ? 'found' : filter} onFace={onFace} onOpen={setOpened}>
          {search === undefined &&
            (local && !chosen
              ? 'There is no event yet: drop a folder of photos.'
              : summary && 'There is no such photo.')}
        </Photos>
      </main>
      {open && <PhotoDialog photo={open} onFace={onFace} onClose={() => setOpened(undefined)} />}
    </>
  );
}

/** The event in the address, so that it can be kept and given on. */
function useChosenEvent(): [string | undefined, (event: string | undefined) => void] {
  const ofAddress = () => new URLSearchParams(location.hash.slice(1)).get('event') ?? undefined;
  const [event, setEvent] = useState(ofAddress);
  useEffect(() => {
    const onChange = () => setEvent(ofAddress());
    addEventListener('hashchange', onChange);
    return () => removeEventListener('hashchange', onChange);
  }, []);
  const choose = (chosen: string | undefined) => {
    history.replaceState(null, '', chosen === undefined ? '#' : `#event=${chosen}`);
    setEvent(chosen);
  };
  return [event, choose];
}

interface EventChoiceProps {
  events: readonly { event_id: string; photos: number }[];
  chosen: string | undefined;
  onChoose(event: string): void;
}

function EventChoice({ events, chosen, onChoose }: EventChoiceProps) {
  const isNew = chosen !== undefined && !events.some(({ event_id }) => event_id === chosen);
  return (
    <p class="event">
      <label for="event">Event</label>
      <select id="event" value={chosen} onChange={(change) => onChoose(change.currentTarget.value)}>
        {isNew && <option value={chosen}>{chosen} (new)</option>}
        {events.map(({ event_id, photos }) => (
          <option key={event_id} value={event_id}>
            {event_id} ({photos})
          </option>
        ))}
      </select>
      <button type="button" onClick={() => onChoose(crypto.randomUUID())}>
        New event
      </button>
    </p>
  );
}

function Counters({ summary: { photos, faces } }: { summary: EventAnswer }) {
  const counts = [
    ['Processing', photos.processing],
    ['Indexed', photos.indexed],
    ['Failed', photos.failed],
    ['Faces', faces],
  ] as const;
  return (
    <dl class="counters">
      {counts.map(([name, count]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{count.toLocaleString()}</dd>
        </div>
      ))}
    </dl>
  );
}

function FilterChoice({ filter, onChoose }: { filter: Filter; onChoose(filter: Filter): void }) {
  return (
    <fieldset class="filters">
      <legend>Photos</legend>
      {FILTERS.map((name) => (
        <label key={name}>
          <input type="radio" name="filter" checked={name === filter} onChange={() => onChoose(name)} />
          {name}
        </label>
      ))}
    </fieldset>
  );
}

function Result({ search: { preview, box, answer, message }, onEnd }: { search: Search; onEnd(): void }) {
  const count = answer?.found ?? 0;
  return (
    <section class="result" aria-labelledby="result">
      {preview && (
        <div class="preview">
          <img src={preview} alt="What was searched with" />
          {box && <span class="face matched" style={placeOf(box)} />}
        </div>
      )}
      <div>
        <h2 id="result">
          {answer
            ? count === 1
              ? '1 photo of this person'
              : `${count} photos of this person`
            : 'Find a person'}
        </h2>
        <p role="status">{message}</p>
        <button type="button" onClick={onEnd}>
          Show all photos
        </button>
      </div>
    </section>
  );
}

interface Shown {
  photo: PhotoAnswer;
  match: { similarity: number; face_id: string } | undefined;
}

interface PhotosProps {
  shown: readonly Shown[];
  /** What is said where there are none. */
  children: ComponentChildren;
  onFace(face: string): void;
  onOpen(photo: string): void;
}

function Photos({ shown, children, onFace, onOpen }: PhotosProps) {
  const [limit, setLimit] = useState(AT_ONCE);
  if (shown.length === 0) {
    return children ? <p class="nothing">{children}</p> : null;
  }
  return (
    <>
      <ul class="photos">
        {shown.slice(0, limit).map(({ photo, match }) => (
          <li key={photo.photo_id} class={photo.status}>
            <Picture
              photo={photo}
              size={480}
              matched={match?.face_id}
              onFace={onFace}
              onOpen={() => onOpen(photo.photo_id)}
            />
            <p class="name">{fileName(photo)}</p>
            <p class="states">
              {match && <span class="similarity">{match.similarity.toFixed(1)} % alike</span>}
              <State photo={photo} />
            </p>
          </li>
        ))}
      </ul>
      {shown.length > limit && (
        <button type="button" class="more" onClick={() => setLimit(limit + AT_ONCE)}>
          Show more of {shown.length.toLocaleString()} photos
        </button>
      )}
    </>
  );
}

/** Uploads files a few at a time, and says how far it is. */
async function send(
  folder: string,
  files: readonly DroppedFile[],
  say: (text: string | undefined) => void,
): Promise<void> {
  const queue = files.values();
  let done = 0;
  const failed: string[] = [];
  const tell = () => say(`Uploading, ${done} of ${files.length}`);
  const work = async (): Promise<void> => {
    for (const { path, file } of queue) {
      try {
        await upload(`${folder}${path}`, file);
      } catch (error) {
        failed.push(`${path}: ${(error as Error).message}`);
      }
      done++;
      tell();
    }
  };
  tell();
  await Promise.all(Array.from({ length: UPLOADS }, work));
  const lost = failed.length > 0 ? `; ${failed.length} could not be: ${failed[0]}` : '';
  say(`Uploaded ${done - failed.length} of ${files.length}${lost}`);
}

// A file that misses its zone would be opened in place of the page.
for (const type of ['dragover', 'drop'] as const) {
  addEventListener(type, (event) => event.preventDefault());
}
render(<Page />, document.getElementById('page')!);
