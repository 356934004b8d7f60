/** Boxes of faces, as Rekognition gives them and the pipeline stores them. */
import type { FaceBox } from '../contract/face-box.ts';

/** As Rekognition gives it: shares of the picture's width and height. */
interface BoundingBox {
  Left: number;
  Top: number;
  Width: number;
  Height: number;
}

/**
 * The same picture gives the same boxes, and another model version nearly the same; two faces beside each other share less
 * than this part of what both cover together.
 */
const SAME_FACE = 0.5;

/** Whether both are boxes, and cover nearly the same part of the picture. */
export function isSameFace(one: unknown, other: unknown): boolean {
  const a = readBox(one);
  const b = readBox(other);
  if (!a || !b) {
    return false;
  }
  const width = Math.min(a.Left + a.Width, b.Left + b.Width) - Math.max(a.Left, b.Left);
  const height = Math.min(a.Top + a.Height, b.Top + b.Height) - Math.max(a.Top, b.Top);
  const shared = Math.max(0, width) * Math.max(0, height);
  return shared > 0 && shared >= SAME_FACE * (a.Width * a.Height + b.Width * b.Height - shared);
}

/** The same with the names that answers have; null where it is not a box. */
export function faceBoxOf(value: unknown): FaceBox | null {
  const box = readBox(value);
  return box ? { left: box.Left, top: box.Top, width: box.Width, height: box.Height } : null;
}

function readBox(value: unknown): BoundingBox | undefined {
  const { Left, Top, Width, Height } = (value ?? {}) as Partial<Record<keyof BoundingBox, unknown>>;
  const isBox = [Left, Top, Width, Height].every((side) => typeof side === 'number' && Number.isFinite(side));
  return isBox ? ({ Left, Top, Width, Height } as BoundingBox) : undefined;
}
