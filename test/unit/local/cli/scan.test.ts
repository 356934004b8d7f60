import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { UserError } from '../../../../cli/user-error.ts';
import { eventIdOfFolder, listPhotos } from '../../../../local/cli/photo-list.ts';
import { pictureKind } from '../../../../local/cli/picture-kind.ts';
import { resolveFolder, scanFolder } from '../../../../local/cli/scan.ts';

const EVENT = '0b9d7c1e-6a43-4f0e-9d2b-5c8a1f3e7d60';
const PHOTO = '3f2b8c1a-7d64-4e0b-8a59-1c6e2d9f4b70';

const FOLDER = eventIdOfFolder('/photos');

let root: string;

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'rollcall-scan-')));
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

function write(...files: string[]): void {
  for (const file of files) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), file);
  }
}

async function files(): Promise<string[]> {
  return (await scanFolder(root)).pictures.map(({ file }) => file);
}

describe('scanFolder', () => {
  test('a file of gigabytes is not sent, whatever it is called', async () => {
    write('photo.jpg', 'film.jpg', 'film.mp4');
    truncateSync(join(root, 'film.jpg'), 3e9);
    truncateSync(join(root, 'film.mp4'), 3e9);
    await expect(scanFolder(root)).resolves.toMatchObject({
      pictures: [{ file: 'photo.jpg' }],
      skipped: [
        { file: 'film.jpg', why: '3,000 MB: Rekognition takes at most 15 MB' },
        { file: 'film.mp4', why: 'not a picture' },
      ],
    });
  });

  test('finds pictures by their extension, in any case, at any depth, in the order a person expects', async () => {
    write('IMG 10.JPG', 'IMG 2.jpeg', 'Fête/Müller & Söhne/100% #1?.png', 'a/b/c/d.HEIC', '日本.webp');
    for (const extension of ['avif', 'gif', 'tif', 'tiff', 'bmp', 'heif', 'jpg']) {
      write(`formats/x.${extension}`);
    }
    expect(await files()).toEqual([
      'a/b/c/d.HEIC',
      'Fête/Müller & Söhne/100% #1?.png',
      'formats/x.avif',
      'formats/x.bmp',
      'formats/x.gif',
      'formats/x.heif',
      'formats/x.jpg',
      'formats/x.tif',
      'formats/x.tiff',
      'IMG 2.jpeg',
      'IMG 10.JPG',
      '日本.webp',
    ]);
  });

  test('knows a picture by its first bytes, whatever it is called', async () => {
    const kinds: [string, Buffer][] = [
      ['JPEG', Buffer.from('ffd8ffe000104a464946', 'hex')],
      ['PNG', Buffer.from('89504e470d0a1a0a', 'hex')],
      ['GIF', Buffer.from('GIF89a')],
      ['WebP', Buffer.from('RIFF\x10\0\0\0WEBPVP8 ', 'latin1')],
      ['TIFF', Buffer.from('MM\0*\0\0\0\x08', 'latin1')],
      ['BMP', Buffer.from('BM\x46\0\0\0\0\0\0\0\x36\0\0\0', 'latin1')],
      ['HEIC', Buffer.from('\0\0\0\x18ftypheic', 'latin1')],
    ];
    for (const [kind, head] of kinds) {
      expect(pictureKind(head)).toBe(kind);
      for (const name of [`${kind}.jfif`, `${kind}.jpe`, `${kind}.MPO`, `${kind}.data`, kind]) {
        writeFileSync(join(root, name), head);
      }
    }
    // A video is in the same container as HEIC, and a raw file is mostly a TIFF.
    writeFileSync(join(root, 'clip.mov'), Buffer.from('\0\0\0\x14ftypqt  ', 'latin1'));
    writeFileSync(join(root, 'IMG.CR2'), Buffer.from('II*\0\x10\0\0\0CR', 'latin1'));
    write('BMW.txt', 'empty.jfif');
    const scan = await scanFolder(root);
    expect(scan.pictures).toHaveLength(kinds.length * 5 + 1);
    expect(scan.skipped).toEqual([
      { file: 'BMW.txt', why: 'not a picture' },
      { file: 'clip.mov', why: 'not a picture' },
      { file: 'IMG.CR2', why: 'a raw file: export it as JPEG' },
    ]);
  });

  test('tells the size', async () => {
    write('12345678.jpg');
    expect((await scanFolder(root)).pictures).toEqual([
      { file: '12345678.jpg', path: join(root, '12345678.jpg'), size: 12 },
    ]);
  });

  test('tells of what is not a picture, and of what is hidden', async () => {
    write('a.jpg', 'notes.txt', 'sub/list.csv', 'jpg', 'b.jpg.part', '.DS_Store', '._a.jpg', '.thumbs/a.jpg');
    const scan = await scanFolder(root);
    expect(scan.pictures.map(({ file }) => file)).toEqual(['a.jpg']);
    expect(scan.skipped).toEqual([
      ...['._a.jpg', '.DS_Store', '.thumbs'].map((file) => ({ file, why: 'hidden' })),
      ...['b.jpg.part', 'jpg', 'notes.txt', 'sub/list.csv'].map((file) => ({ file, why: 'not a picture' })),
    ]);
    expect(scan.unreadable).toEqual([]);
  });

  test('a folder that is named like a picture is a folder', async () => {
    write('album.jpg/a.jpg');
    expect(await files()).toEqual(['album.jpg/a.jpg']);
  });

  test('links to pictures and folders are followed, but no folder is read twice', async () => {
    write('real/a.jpg', 'real/deep/b.jpg');
    symlinkSync('a.jpg', join(root, 'real/c.jpg'));
    symlinkSync('..', join(root, 'real/up'));
    symlinkSync('deep', join(root, 'real/0-again'));
    symlinkSync(root, join(root, 'real/deep/round'));
    const elsewhere = mkdtempSync(join(tmpdir(), 'rollcall-scan-'));
    writeFileSync(join(elsewhere, 'd.jpg'), 'd');
    symlinkSync(elsewhere, join(root, 'linked'));
    try {
      expect(await files()).toEqual(['linked/d.jpg', 'real/a.jpg', 'real/c.jpg', 'real/deep/b.jpg']);
    } finally {
      rmSync(elsewhere, { recursive: true });
    }
  });

  test('what cannot be read is told, and stops nothing', async () => {
    write('a.jpg');
    symlinkSync('gone.jpg', join(root, 'broken.jpg'));
    symlinkSync('loop.jpg', join(root, 'loop.jpg'));
    symlinkSync('nowhere', join(root, 'not-a-picture'));
    execFileSync('mkfifo', [join(root, 'pipe.jpg'), join(root, 'pipe')]);
    const scan = await scanFolder(root);
    expect(scan.pictures.map(({ file }) => file)).toEqual(['a.jpg']);
    expect(scan.unreadable).toEqual([
      { file: 'broken.jpg', reason: 'a link to a file that does not exist' },
      { file: 'loop.jpg', reason: 'a link that leads back to itself' },
      { file: 'pipe.jpg', reason: 'not a regular file' },
    ]);
    expect(scan.skipped).toEqual([
      { file: 'not-a-picture', why: 'a link to a file that does not exist' },
      { file: 'pipe', why: 'not a regular file' },
    ]);
  });

  test('a subfolder that may not be read is told', async () => {
    if (process.getuid?.() === 0) {
      return; // root may read everything
    }
    write('a.jpg', 'locked/b.jpg');
    chmodSync(join(root, 'locked'), 0);
    expect((await scanFolder(root)).unreadable).toEqual([{ file: 'locked', reason: 'permission denied' }]);
    chmodSync(join(root, 'locked'), 0o755);
  });
});

describe('resolveFolder', () => {
  test('is the real path, whichever way the folder is named', async () => {
    write('photos/a.jpg');
    symlinkSync('photos', join(root, 'link'));
    expect(await resolveFolder(join(root, 'link'))).toBe(join(root, 'photos'));
    expect(await resolveFolder(join(root, 'photos/../photos/'))).toBe(join(root, 'photos'));
  });

  test.each([
    ['missing', 'does not exist'],
    ['photos/a.jpg', 'is a file'],
    ['photos/a.jpg/more', 'part of its path is a file'],
    ['x'.repeat(300), 'too long'],
  ])('%s is told in one line', async (folder, told) => {
    write('photos/a.jpg');
    const error = await resolveFolder(join(root, folder)).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UserError);
    expect((error as UserError).message).toContain(told);
    expect((error as UserError).message).not.toContain('\n');
  });
});

describe('listPhotos', () => {
  const picture = (file: string) => ({ file, path: `/photos/${file}`, size: 1 });
  const list = (...names: string[]) =>
    listPhotos(
      EVENT,
      { pictures: names.map(picture), unreadable: [{ file: 'x.jpg', reason: 'gone' }] },
      FOLDER,
    );

  test('a key is the path below the event, composed, and unreadable files keep their place', () => {
    const { photos, notSent } = list('Müller/IMG 1.JPG'.normalize('NFD'));
    expect(photos).toEqual([
      expect.objectContaining({
        file: 'Müller/IMG 1.JPG'.normalize('NFD'),
        key: `events/${EVENT}/Müller/IMG 1.JPG`.normalize('NFC'),
        eventId: EVENT,
      }),
    ]);
    expect(notSent).toEqual([{ file: 'x.jpg', photoId: null, code: 'FileUnreadable', reason: 'gone' }]);
  });

  test('one key has one id, another key another', () => {
    const [a, b] = list('a.jpg', 'b.jpg').photos;
    expect(list('a.jpg').photos[0]!.photoId).toBe(a!.photoId);
    expect(a!.photoId).not.toBe(b!.photoId);
  });

  test('a key has at most 1,024 bytes, counted composed', () => {
    const room = 1024 - `events/${EVENT}/.jpg`.length;
    const longest = `${'d'.repeat(200)}/${'ü'.repeat((room - 201) / 2)}`;
    const fits = longest.padEnd(longest.length + ((room - 201) % 2), 'x');
    expect(list(`${fits}.jpg`.normalize('NFD')).photos).toHaveLength(1);
    const { photos, notSent } = list(`${fits}y.jpg`);
    expect(photos).toEqual([]);
    expect(notSent[1]).toMatchObject({ code: 'KeyTooLong', photoId: null });
    expect(notSent[1]!.reason).toContain('1025 bytes');
  });

  test('two files with one photo id: the first is sent, the second told', () => {
    const { photos, notSent } = list(
      `${PHOTO}.jpg`,
      `${PHOTO.toUpperCase()}.png`,
      'ä.jpg',
      'ä.jpg'.normalize('NFD'),
    );
    expect(photos.map(({ file }) => file)).toEqual([`${PHOTO}.jpg`, 'ä.jpg']);
    expect(photos[0]!.photoId).toBe(PHOTO);
    expect(notSent.slice(1)).toEqual([
      {
        file: `${PHOTO.toUpperCase()}.png`,
        photoId: PHOTO,
        code: 'DuplicatePhoto',
        reason: `its photo id is that of ${PHOTO}.jpg`,
      },
      {
        file: 'ä.jpg'.normalize('NFD'),
        photoId: photos[1]!.photoId,
        code: 'DuplicatePhoto',
        reason: 'its photo id is that of ä.jpg',
      },
    ]);
  });

  test('a folder is always the same event', () => {
    expect(eventIdOfFolder('/photos/a')).toBe(eventIdOfFolder('/photos/a'));
    expect(eventIdOfFolder('/photos/a')).not.toBe(eventIdOfFolder('/photos/b'));
    expect(eventIdOfFolder('/photos/a')).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
  });
});
