import { useEffect, useRef, useState } from 'preact/hooks';
import { type ExecutionAnswer, type PhotoAnswer, readExecutions } from './api.ts';
import { fileName, Picture } from './picture.tsx';
import { State } from './state.tsx';

interface Props {
  photo: PhotoAnswer;
  onFace(faceId: string): void;
  onClose(): void;
}

/** A photo as large as there is room, and what its executions did, state by state. */
export function PhotoDialog({ photo, onFace, onClose }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [executions, setExecutions] = useState<ExecutionAnswer[]>();
  const { key, changed_at } = photo;
  useEffect(() => dialog.current?.showModal(), []);
  useEffect(() => void readExecutions(key).then(setExecutions, () => setExecutions([])), [key, changed_at]);
  return (
    <dialog ref={dialog} aria-labelledby="photo-name" onClose={onClose}>
      <div class="head">
        <h2 id="photo-name">{fileName(photo)}</h2>
        <button type="button" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </div>
      <Picture photo={photo} size={1600} onFace={onFace} />
      <p class="states">
        <State photo={photo} />
      </p>
      <dl class="facts">
        <dt>Key</dt>
        <dd>{key}</dd>
        <dt>Photo</dt>
        <dd>{photo.photo_id}</dd>
      </dl>
      {executions?.map((execution) => (
        <Execution key={execution.name} execution={execution} />
      ))}
      {executions?.length === 0 && (
        <p>What its execution did is not remembered any more: the history goes when the local run ends.</p>
      )}
    </dialog>
  );
}

function Execution({
  execution: { status, started_at, ended_at, error, cause, steps },
}: {
  execution: ExecutionAnswer;
}) {
  return (
    <section class="execution">
      <h3>
        Execution <span class={`state ${status.toLowerCase()}`}>{status}</span>
      </h3>
      <p>
        {clock(started_at)}
        {ended_at && `, took ${took(started_at, ended_at)}`}
        {error && (
          <>
            {', '}
            <strong>{error}</strong>
            {cause && `: ${cause}`}
          </>
        )}
      </p>
      <ol class="steps">
        {steps.map((step) => (
          <li key={`${step.state} ${step.started_at} ${step.attempt}`}>
            <strong>{step.state}</strong>
            <span>{step.attempt > 1 && `try ${step.attempt}`}</span>
            <span>{clock(step.started_at)}</span>
            <span>{step.ended_at && took(step.started_at, step.ended_at)}</span>
            <span class="end">
              {step.error ? (
                <>
                  <strong>{step.error}</strong>
                  {step.cause && `: ${step.cause}`}
                </>
              ) : step.ended_at ? (
                'done'
              ) : (
                'at work'
              )}
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}

function clock(at: string): string {
  return new Date(at).toLocaleTimeString();
}

function took(from: string, to: string): string {
  const ms = Date.parse(to) - Date.parse(from);
  return ms < 1_000 ? `${ms} ms` : `${(ms / 1_000).toFixed(1)} s`;
}
