import type { PhotoAnswer } from './api.ts';

const signs = { processing: '…', indexed: '✓', failed: '✕', deleted: '–', erased: '–' } as const;

/** A photo's state, and why it is no better one. */
export function State({ photo: { status, faces, failure } }: { photo: PhotoAnswer }) {
  return (
    <>
      <span class={`state ${status}`}>
        <span aria-hidden="true">{signs[status]} </span>
        {status}
        {status === 'indexed' && `, ${faces.length === 1 ? '1 face' : `${faces.length} faces`}`}
      </span>
      {failure && (
        <span class="reason">
          <strong>{failure.code}</strong>
          {failure.message && `: ${failure.message}`}
          {failure.retryable ? ' It can be tried again.' : ' The file itself is at fault.'}
        </span>
      )}
    </>
  );
}
