/** An image in memory: 8-bit RGB, row by row, no padding. */
export interface RgbImage {
  width: number;
  height: number;
  data: Uint8Array;
}

/** A rectangle in pixels of an image; it may reach beyond the image's borders. */
export interface Rect {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** A rectangle of an image, brought to a square of `size` x `size` for a neural network. */
export interface Patch {
  /** RGB as 0..255, row by row. */
  data: Float32Array;
  size: number;
  /** Where in the square the region lies, without its padding; whole pixels. */
  content: Rect;
  /** From a point (0..1, of the square) back to pixels of the image. */
  toImage(x: number, y: number): { x: number; y: number };
}

/** Padding that the networks expect beside a region that is not square: black, after it or on both sides. */
export type Padding = 'end' | 'both';

/** What lies outside the image: 50 % grey. */
const OUTSIDE = 128;
const BLACK = -2;
const GREY = -1;

/**
 * Scales a region of an image bilinearly into a square, as tfjs' `resizeBilinear` of the zero-padded region would, without
 * a tensor of the whole image: that takes four bytes per channel several times over.
 */
export function samplePatch(image: RgbImage, region: Rect, size: number, padding: Padding): Patch {
  const side = Math.max(region.width, region.height);
  const scale = side / size;
  const padX = padding === 'both' ? Math.floor((side - region.width) / 2) : 0;
  const padY = padding === 'both' ? Math.floor((side - region.height) / 2) : 0;
  const columns = sourceLines(size, scale, side, padX, region.width, region.x, image.width);
  const rows = sourceLines(size, scale, side, padY, region.height, region.y, image.height);

  const data = new Float32Array(size * size * 3);
  const { data: pixels, width } = image;
  let out = 0;
  for (let y = 0; y < size; y++) {
    const top = rows.first[y]!;
    const bottom = rows.second[y]!;
    const fy = rows.fraction[y]!;
    for (let x = 0; x < size; x++) {
      const left = columns.first[x]!;
      const right = columns.second[x]!;
      const fx = columns.fraction[x]!;
      for (let channel = 0; channel < 3; channel++) {
        const a = value(pixels, width, left, top, channel);
        const b = value(pixels, width, right, top, channel);
        const c = value(pixels, width, left, bottom, channel);
        const d = value(pixels, width, right, bottom, channel);
        const upper = a + (b - a) * fx;
        data[out++] = upper + (c + (d - c) * fx - upper) * fy;
      }
    }
  }
  const x = Math.ceil(padX / scale);
  const y = Math.ceil(padY / scale);
  const content = {
    x,
    y,
    width: Math.floor((padX + region.width) / scale) - x,
    height: Math.floor((padY + region.height) / scale) - y,
  };
  return {
    data,
    size,
    content,
    toImage: (u, v) => ({ x: region.x + u * side - padX, y: region.y + v * side - padY }),
  };
}

/** A patch with left and right exchanged. */
export function mirror(patch: Patch): Patch {
  const { data, size, content, toImage } = patch;
  const mirrored = new Float32Array(data.length);
  for (let from = 0; from < data.length; from += 3) {
    const x = (from / 3) % size;
    mirrored.set(data.subarray(from, from + 3), from + 3 * (size - 1 - 2 * x));
  }
  return {
    data: mirrored,
    size,
    content: { ...content, x: size - content.x - content.width },
    toImage: (u, v) => toImage(1 - u, v),
  };
}

interface SourceLines {
  /** Columns (or rows) of the image, or BLACK or GREY. */
  first: Int32Array;
  second: Int32Array;
  fraction: Float32Array;
}

function sourceLines(
  size: number,
  scale: number,
  side: number,
  pad: number,
  length: number,
  offset: number,
  limit: number,
): SourceLines {
  const lines = {
    first: new Int32Array(size),
    second: new Int32Array(size),
    fraction: new Float32Array(size),
  };
  const lookUp = (position: number): number => {
    const inRegion = position - pad;
    if (inRegion < 0 || inRegion >= length) {
      return BLACK;
    }
    const inImage = inRegion + offset;
    return inImage < 0 || inImage >= limit ? GREY : inImage;
  };
  for (let i = 0; i < size; i++) {
    const source = i * scale;
    const floor = Math.floor(source);
    lines.first[i] = lookUp(floor);
    lines.second[i] = lookUp(Math.min(side - 1, Math.ceil(source)));
    lines.fraction[i] = source - floor;
  }
  return lines;
}

function value(pixels: Uint8Array, width: number, x: number, y: number, channel: number): number {
  if (x >= 0 && y >= 0) {
    return pixels[(y * width + x) * 3 + channel]!;
  }
  return x === BLACK || y === BLACK ? 0 : OUTSIDE;
}

/** The part of a rectangle that lies in the image, on whole pixels. */
export function clip(
  rect: Rect,
  { x: left = 0, y: top = 0, width, height }: Partial<Rect> & { width: number; height: number },
): Rect {
  const x = Math.floor(Math.max(left, rect.x));
  const y = Math.floor(Math.max(top, rect.y));
  return {
    x,
    y,
    width: Math.floor(Math.min(rect.x + rect.width, left + width) - x),
    height: Math.floor(Math.min(rect.y + rect.height, top + height) - y),
  };
}

/** A rectangle of the same centre, `factor` times as wide and high. */
export function enlarge(rect: Rect, factor: number): Rect {
  return {
    x: rect.x - (rect.width * (factor - 1)) / 2,
    y: rect.y - (rect.height * (factor - 1)) / 2,
    width: rect.width * factor,
    height: rect.height * factor,
  };
}

/** Brightness and sharpness of what a patch shows, both 0 (none) to 100. */
export function patchQuality({ data, size, content }: Patch): { brightness: number; sharpness: number } {
  const luma = (x: number, y: number) => {
    const i = (y * size + x) * 3;
    return 0.299 * data[i]! + 0.587 * data[i + 1]! + 0.114 * data[i + 2]!;
  };
  const light: number[] = [];
  const laplacian: number[] = [];
  for (let y = content.y + 1; y < content.y + content.height - 1; y++) {
    for (let x = content.x + 1; x < content.x + content.width - 1; x++) {
      const here = luma(x, y);
      light.push(here);
      laplacian.push(4 * here - luma(x - 1, y) - luma(x + 1, y) - luma(x, y - 1) - luma(x, y + 1));
    }
  }
  // The variance of the Laplacian is the usual measure of focus; against the picture's own contrast, a dark face is not a
  // blurred one.
  const { mean, variance } = statistics(light);
  const focus = statistics(laplacian).variance / Math.max(1, variance);
  return { brightness: (mean / 255) * 100, sharpness: 100 * (1 - Math.exp(-focus / FOCUS_SCALE)) };
}

/** The focus (of a face at 112 px) that counts as 63 % sharp. */
const FOCUS_SCALE = 0.1;

function statistics(values: number[]): { mean: number; variance: number } {
  if (values.length === 0) {
    return { mean: 0, variance: 0 };
  }
  let sum = 0;
  let squares = 0;
  for (const value of values) {
    sum += value;
    squares += value ** 2;
  }
  const mean = sum / values.length;
  return { mean, variance: squares / values.length - mean ** 2 };
}
