import { useState } from 'preact/hooks';
import type { FaceBox } from '../lambdas/shared/contract/face-box.ts';
import { type PhotoAnswer, pictureUrl } from './api.ts';

/** A box's place over its picture, whatever size that is shown in. */
export function placeOf({ left, top, width, height }: FaceBox) {
  const percent = (share: number) => `${(100 * share).toFixed(3)}%`;
  return { left: percent(left), top: percent(top), width: percent(width), height: percent(height) };
}

interface Props {
  photo: PhotoAnswer;
  size: 480 | 1600;
  /** The face that a search matched. */
  matched?: string | undefined;
  onFace(faceId: string): void;
  /** Without it the picture is only looked at. */
  onOpen?: () => void;
}

/** A photo with its faces framed; each frame finds its person. */
export function Picture({ photo, size, matched, onFace, onOpen }: Props) {
  const [isThere, setThere] = useState(false);
  const name = fileName(photo);
  const image = (
    <img
      src={pictureUrl(photo, size)}
      alt={onOpen ? '' : name}
      loading="lazy"
      class={isThere ? 'there' : ''}
      onLoad={() => setThere(true)}
    />
  );
  const faces = photo.faces.filter(({ box, face_id }) => box !== null && face_id !== null);
  return (
    <div class="picture">
      {onOpen ? (
        <button type="button" class="open" aria-label={`What happened to ${name}`} onClick={onOpen}>
          {image}
        </button>
      ) : (
        image
      )}
      {faces.map(({ box, face_id }, i) => (
        <button
          key={face_id}
          type="button"
          class={face_id === matched ? 'face matched' : 'face'}
          style={placeOf(box!)}
          aria-label={`Photos of person ${i + 1} of ${faces.length} in ${name}`}
          title="Photos of this person"
          onClick={() => onFace(face_id!)}
        />
      ))}
    </div>
  );
}

/** Within the event's folder. */
export function fileName({ key, photo_id }: Pick<PhotoAnswer, 'key' | 'photo_id'>): string {
  return key.replace(/^.*?[0-9a-f-]{36}\//i, '') || photo_id;
}
