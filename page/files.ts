/** From what was dropped, or chosen, to files with the paths that they have in their folder. */

export interface DroppedFile {
  /** "day one/IMG 0001.JPG" */
  path: string;
  file: File;
}

/** Everything in what was dropped, folders with all that is in them. Hidden files are nobody's photos. */
export async function droppedFiles(data: DataTransfer): Promise<DroppedFile[]> {
  // Asked for at once: after a pause the browser has forgotten what was dropped.
  const dropped = [...data.items]
    .filter(({ kind }) => kind === 'file')
    .map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
  const files = (
    await Promise.all(
      dropped.map(({ entry, file }) =>
        // A picture out of another program may be in no folder.
        entry ? filesOf(entry, '') : file ? [{ path: file.name, file }] : [],
      ),
    )
  ).flat();
  return withoutHidden(files);
}

export function chosenFiles(list: FileList | null): DroppedFile[] {
  return withoutHidden(
    [...(list ?? [])].map((file) => ({ path: file.webkitRelativePath || file.name, file })),
  );
}

function withoutHidden(files: DroppedFile[]): DroppedFile[] {
  return files.filter(({ path }) => !path.split('/').some((part) => part.startsWith('.')));
}

async function filesOf(entry: FileSystemEntry, folder: string): Promise<DroppedFile[]> {
  const path = `${folder}${entry.name}`;
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) =>
      (entry as FileSystemFileEntry).file(resolve, reject),
    );
    return [{ path, file }];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: DroppedFile[] = [];
  for (;;) {
    // A reader gives a hundred entries at a time.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (some.length === 0) {
      return found;
    }
    for (const one of some) {
      found.push(...(await filesOf(one, `${path}/`)));
    }
  }
}
