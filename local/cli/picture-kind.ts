/** Bytes at a file's begin that tell what it is. */
export const HEAD_BYTES = 32;

const text = (bytes: Buffer, from: number, to: number): string => bytes.toString('latin1', from, to);

/** https://mp4ra.org/registered-types/brands: pictures in the container that videos have too. */
const PICTURE_BRANDS = new Set('heic heix heim heis hevc hevx hevm hevs mif1 msf1 avif avis'.split(' '));

const SIGNATURES: [kind: string, fits: (bytes: Buffer) => boolean][] = [
  ['JPEG', (bytes) => text(bytes, 0, 3) === '\xff\xd8\xff'],
  ['PNG', (bytes) => text(bytes, 0, 8) === '\x89PNG\r\n\x1a\n'],
  ['GIF', (bytes) => /^GIF8[79]a/.test(text(bytes, 0, 6))],
  ['WebP', (bytes) => text(bytes, 0, 4) === 'RIFF' && text(bytes, 8, 12) === 'WEBP'],
  ['TIFF', (bytes) => text(bytes, 0, 4) === 'II*\0' || text(bytes, 0, 4) === 'MM\0*'],
  ['BMP', (bytes) => text(bytes, 0, 2) === 'BM' && bytes.length >= 14 && bytes.readUInt32LE(6) === 0],
  ['HEIC', (bytes) => text(bytes, 4, 8) === 'ftyp' && PICTURE_BRANDS.has(text(bytes, 8, 12))],
];

/**
 * What a file is by its first bytes, whatever it is called: a camera's `.MPO` and a browser's `.jfif` are JPEGs.
 *
 * @returns undefined for what begins like no picture
 */
export function pictureKind(head: Buffer): string | undefined {
  return SIGNATURES.find(([, fits]) => fits(head))?.[0];
}

/** Names that promise a picture: a broken one is told as failed, by whom it can be told why. */
const PICTURE_NAME = /\.(jpe?g|jpe|jfif|pjpe?g|mpo|png|hei[cf]|webp|avif|gif|tiff?|bmp)$/i;

/** Cameras' raw files, most of which begin like a TIFF. */
const RAW_NAME = /\.(cr[23]|crw|nef|nrw|arw|srf|sr2|dng|raf|orf|rw2|pef|srw|3fr|iiq)$/i;

/** Why a file is left out; undefined for a picture. */
export function reasonToSkip(name: string, head: Buffer): string | undefined {
  if (RAW_NAME.test(name)) {
    return 'a raw file: export it as JPEG';
  }
  return PICTURE_NAME.test(name) || pictureKind(head) ? undefined : 'not a picture';
}
