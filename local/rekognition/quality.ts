import type { Reason } from '@aws-sdk/client-rekognition';
import type { AnalysedFace } from './face-analysis.ts';
import { pose } from './face-details.ts';
import type { QualityFilter } from './validation.ts';

/** What a face must reach to be indexed. */
interface QualityBar {
  /** 0..1 */
  score: number;
  /** Pixels of the shorter side, in an image of up to 1920 px; in proportion in a larger one. */
  side: number;
  /** 0..100 */
  sharpness: number;
  brightness: number;
  /** Degrees to either side. */
  yaw: number;
}

/**
 * Rekognition's own bars are not published: these keep their order. AUTO and LOW drop what no search could find again;
 * HIGH keeps large, sharp, frontal faces.
 */
const BARS: Record<Exclude<QualityFilter, 'NONE'>, QualityBar> = {
  AUTO: { score: 0.4, side: 20, sharpness: 2, brightness: 4, yaw: 75 },
  LOW: { score: 0.4, side: 20, sharpness: 2, brightness: 4, yaw: 75 },
  MEDIUM: { score: 0.6, side: 40, sharpness: 10, brightness: 10, yaw: 60 },
  HIGH: { score: 0.85, side: 60, sharpness: 30, brightness: 15, yaw: 45 },
};

/** From this size on, the smallest face grows with the image: https://docs.aws.amazon.com/rekognition/latest/dg/limits.html */
const FULL_HD = 1920;

/** Why a face does not pass a filter; empty if it does. */
function qualityReasons(
  face: AnalysedFace,
  size: { width: number; height: number },
  filter: QualityFilter,
): Reason[] {
  if (filter === 'NONE') {
    return [];
  }
  const bar = BARS[filter];
  const side = Math.min(face.box.width * size.width, face.box.height * size.height);
  const smallest = bar.side * Math.max(1, Math.max(size.width, size.height) / FULL_HD);
  const checks: [Reason, boolean][] = [
    ['LOW_CONFIDENCE', face.score < bar.score],
    ['SMALL_BOUNDING_BOX', side < smallest],
    ['LOW_SHARPNESS', face.sharpness < bar.sharpness],
    ['LOW_BRIGHTNESS', face.brightness < bar.brightness],
    ['EXTREME_POSE', Math.abs(pose(face, size).Yaw ?? 0) > bar.yaw],
  ];
  return checks.flatMap(([reason, fails]) => (fails ? [reason] : []));
}

export interface SelectedFaces {
  /** Largest first. */
  indexed: AnalysedFace[];
  unindexed: { face: AnalysedFace; reasons: Reason[] }[];
}

/** Chooses the faces to index: first those of too low a quality go, then the smallest, until `maxFaces` are left. */
export function selectFaces(
  { faces, width, height }: { faces: AnalysedFace[]; width: number; height: number },
  filter: QualityFilter,
  maxFaces: number,
): SelectedFaces {
  const selected: SelectedFaces = { indexed: [], unindexed: [] };
  const area = ({ box }: AnalysedFace) => box.width * box.height;
  for (const face of [...faces].sort((a, b) => area(b) - area(a))) {
    const reasons = qualityReasons(face, { width, height }, filter);
    if (reasons.length > 0) {
      selected.unindexed.push({ face, reasons });
    } else if (selected.indexed.length >= maxFaces) {
      selected.unindexed.push({ face, reasons: ['EXCEEDS_MAX_FACES'] });
    } else {
      selected.indexed.push(face);
    }
  }
  return selected;
}
