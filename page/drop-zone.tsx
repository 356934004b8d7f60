import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { chosenFiles, type DroppedFile, droppedFiles } from './files.ts';

interface Props {
  id: string;
  title: string;
  children: ComponentChildren;
  /** Whether a whole folder is chosen, and not one picture. */
  takesFolder: boolean;
  onFiles(files: DroppedFile[]): void;
}

/** Takes files that are dropped on it, or chosen in the browser's own dialog: the keyboard's way. */
export function DropZone({ id, title, children, takesFolder, onFiles }: Props) {
  const [isOver, setOver] = useState(false);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: dropping is one way; the input is everybody's
    <div
      class={isOver ? 'drop over' : 'drop'}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        if (event.dataTransfer) {
          void droppedFiles(event.dataTransfer).then(onFiles);
        }
      }}
    >
      <label for={id}>
        <strong>{title}</strong>
        <span>{children}</span>
      </label>
      <input
        id={id}
        type="file"
        {...(takesFolder ? { webkitdirectory: true, multiple: true } : { accept: 'image/jpeg,image/png' })}
        onChange={(event) => {
          const input = event.currentTarget;
          const files = chosenFiles(input.files);
          // The same choice once more is a choice, too.
          input.value = '';
          if (files.length > 0) {
            onFiles(files);
          }
        }}
      />
    </div>
  );
}
