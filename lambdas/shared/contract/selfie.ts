/** A picture to search with: what is asked of its bytes before Rekognition sees them. Nothing of it is decoded. */
import {
  MAX_SELFIE_BASE64,
  MAX_SELFIE_BYTES,
  MIN_SELFIE_SIDE,
  type SearchReason,
  searchReasons,
} from './search.ts';

const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const JPEG = Buffer.from([0xff, 0xd8, 0xff]);

/** The bytes of a picture in Base64, or why Rekognition would not look at it. */
export function readSelfie(base64: string): Buffer | SearchReason {
  // Before it is read: whatever is longer would only be thrown away.
  if (base64.length > MAX_SELFIE_BASE64) {
    return 'ImageTooLarge';
  }
  // Node skips what is not Base64, and so would make another picture of it. Padding may be missing.
  // What is wrong is looked for, because a pattern of all that is right overflows the stack with six million characters.
  const unpadded = base64.slice(
    0,
    base64.length - (base64.endsWith('==') ? 2 : base64.endsWith('=') ? 1 : 0),
  );
  if (/[^A-Za-z0-9+/]/.test(unpadded)) {
    return 'InvalidImage';
  }
  const bytes = Buffer.from(base64, 'base64');
  return selfieFault(bytes) ?? bytes;
}

/** Why Rekognition would not look at a picture; undefined where it will. */
export function selfieFault(bytes: Buffer): SearchReason | undefined {
  if (bytes.length > MAX_SELFIE_BYTES) {
    return 'ImageTooLarge';
  }
  const isPng = startsWith(bytes, PNG);
  if (!isPng && !startsWith(bytes, JPEG)) {
    return 'InvalidImage';
  }
  const size = isPng ? sizeOfPng(bytes) : sizeOfJpeg(bytes);
  if (!size) {
    return 'InvalidImage';
  }
  return Math.min(size.width, size.height) < MIN_SELFIE_SIDE ? 'ImageTooSmall' : undefined;
}

/** The same as a sentence for people. */
export function selfieRefusal(bytes: Buffer): string | undefined {
  const fault = selfieFault(bytes);
  return fault && searchReasons[fault].says;
}

function startsWith(bytes: Buffer, magic: Buffer): boolean {
  return bytes.subarray(0, magic.length).equals(magic);
}

interface Size {
  width: number;
  height: number;
}

/** The first chunk is IHDR: https://www.w3.org/TR/png-3/#11IHDR */
function sizeOfPng(bytes: Buffer): Size | undefined {
  return bytes.length < 24 ? undefined : { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) };
}

/** Markers without a length: TEM, and the restarts. https://www.w3.org/Graphics/JPEG/itu-t81.pdf, table B.1 */
function stands(marker: number): boolean {
  return marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8);
}

/** The start of a frame, of whatever process; not DHT, JPG and DAC, which lie between. */
function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
}

function sizeOfJpeg(bytes: Buffer): Size | undefined {
  let at = 2;
  while (at + 9 <= bytes.length) {
    if (bytes[at] !== 0xff) {
      return undefined;
    }
    const marker = bytes[at + 1]!;
    if (marker === 0xff) {
      // Fill bytes may stand before any marker.
      at++;
    } else if (isFrame(marker)) {
      return { height: bytes.readUInt16BE(at + 5), width: bytes.readUInt16BE(at + 7) };
    } else if (stands(marker)) {
      at += 2;
    } else {
      at += 2 + bytes.readUInt16BE(at + 2);
    }
  }
  return undefined;
}
