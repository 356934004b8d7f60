import type { EmotionName, FaceDetail, Landmark, LandmarkType, Pose } from '@aws-sdk/client-rekognition';
import { type AnalysedFace, type Expression, meanPoint } from './face-analysis.ts';

/** Rekognition's five default landmarks, and the others, as points of the iBUG scheme: a point or a range's mean. */
const DEFAULT_LANDMARKS: [LandmarkType, number, number?][] = [
  ['eyeLeft', 36, 42],
  ['eyeRight', 42, 48],
  ['mouthLeft', 48],
  ['mouthRight', 54],
  ['nose', 30],
];
const OTHER_LANDMARKS: [LandmarkType, number, number?][] = [
  ['leftEyeBrowLeft', 17],
  ['leftEyeBrowUp', 19],
  ['leftEyeBrowRight', 21],
  ['rightEyeBrowLeft', 22],
  ['rightEyeBrowUp', 24],
  ['rightEyeBrowRight', 26],
  ['leftEyeLeft', 36],
  ['leftEyeUp', 37, 39],
  ['leftEyeRight', 39],
  ['leftEyeDown', 40, 42],
  ['rightEyeLeft', 42],
  ['rightEyeUp', 43, 45],
  ['rightEyeRight', 45],
  ['rightEyeDown', 46, 48],
  ['noseLeft', 31],
  ['noseRight', 35],
  ['mouthUp', 51],
  ['mouthDown', 57],
  ['upperJawlineLeft', 0],
  ['midJawlineLeft', 4],
  ['chinBottom', 8],
  ['midJawlineRight', 12],
  ['upperJawlineRight', 16],
];

const EMOTIONS: Record<Expression, EmotionName> = {
  neutral: 'CALM',
  happy: 'HAPPY',
  sad: 'SAD',
  angry: 'ANGRY',
  fearful: 'FEAR',
  disgusted: 'DISGUSTED',
  surprised: 'SURPRISED',
};

/** The age network is off by 4 to 5 years on average. */
const AGE_MARGIN = 5;

/** What is not always part of a face's details, by the attribute that asks for it. */
export const networkAttributes = ['ALL', 'AGE_RANGE', 'EMOTIONS', 'GENDER', 'SMILE'] as const;

/** Rekognition's BoundingBox, complete: ratios of the image's width and height. */
export interface Box {
  Width: number;
  Height: number;
  Left: number;
  Top: number;
}

export function boundingBox({ box }: AnalysedFace): Box {
  return { Width: ratio(box.width), Height: ratio(box.height), Left: ratio(box.x), Top: ratio(box.y) };
}

/** 0..100 */
export function confidence({ score }: AnalysedFace): number {
  return percent(score * 100);
}

/**
 * A face as Rekognition describes it. Eyeglasses, beard, open eyes and the like are left out: no local model knows them.
 *
 * @param size of the image: angles need its proportions
 */
export function faceDetail(
  face: AnalysedFace,
  size: { width: number; height: number },
  wanted: ReadonlySet<string>,
): FaceDetail {
  const all = wanted.has('ALL');
  const { attributes } = face;
  return {
    BoundingBox: boundingBox(face),
    Confidence: confidence(face),
    Landmarks: landmarks(face, all ? [...DEFAULT_LANDMARKS, ...OTHER_LANDMARKS] : DEFAULT_LANDMARKS),
    Pose: pose(face, size),
    Quality: { Brightness: percent(face.brightness), Sharpness: percent(face.sharpness) },
    ...(attributes && (all || wanted.has('AGE_RANGE')) && { AgeRange: ageRange(attributes.age) }),
    ...(attributes && (all || wanted.has('SMILE')) && { Smile: smile(attributes.expressions.happy) }),
    ...(attributes &&
      (all || wanted.has('GENDER')) && {
        Gender: {
          Value: attributes.gender === 'male' ? ('Male' as const) : ('Female' as const),
          Confidence: percent(attributes.genderProbability * 100),
        },
      }),
    ...(attributes && (all || wanted.has('EMOTIONS')) && { Emotions: emotions(attributes.expressions) }),
  };
}

function landmarks(face: AnalysedFace, types: [LandmarkType, number, number?][]): Landmark[] {
  return types.map(([Type, from, to = from + 1]) => {
    const { x, y } = meanPoint(face.landmarks, from, to);
    return { Type, X: ratio(x), Y: ratio(y) };
  });
}

/**
 * Estimates a head's pose in degrees from where the nose lies among the other points. Rough, but it tells a frontal face
 * from a profile. Yaw is positive when the face looks to the viewer's right, pitch when it looks up.
 */
export function pose(
  { landmarks: points }: AnalysedFace,
  { width, height }: { width: number; height: number },
): Pose {
  const at = (from: number, to = from + 1) => {
    const { x, y } = meanPoint(points, from, to);
    return { x: x * width, y: y * height };
  };
  const leftEye = at(36, 42);
  const rightEye = at(42, 48);
  const mouth = at(48, 68);
  const nose = at(30);
  const roll = Math.atan2(rightEye.y - leftEye.y, rightEye.x - leftEye.x);
  // Along the line through the eyes, and across it.
  const along = (p: { x: number; y: number }) => p.x * Math.cos(roll) + p.y * Math.sin(roll);
  const across = (p: { x: number; y: number }) => p.y * Math.cos(roll) - p.x * Math.sin(roll);
  const toLeftJaw = along(nose) - along(at(0));
  const toRightJaw = along(at(16)) - along(nose);
  const yaw = Math.asin(limit((toLeftJaw - toRightJaw) / (Math.abs(toLeftJaw) + Math.abs(toRightJaw)), 1));
  const eyes = (across(leftEye) + across(rightEye)) / 2;
  const noseDown = (across(nose) - eyes) / Math.max(1, across(mouth) - eyes);
  const pitch = limit((NOSE_BETWEEN_EYES_AND_MOUTH - noseDown) * PITCH_DEGREES, 90);
  return { Roll: degrees(roll), Yaw: degrees(yaw), Pitch: percent(pitch) };
}

/** How far down from eyes to mouth the nose's tip lies in a level face; the face changes it by about this much per turn. */
const NOSE_BETWEEN_EYES_AND_MOUTH = 0.58;
const PITCH_DEGREES = 120;

function ageRange(age: number): { Low: number; High: number } {
  return { Low: Math.max(0, Math.round(age - AGE_MARGIN)), High: Math.max(0, Math.round(age + AGE_MARGIN)) };
}

function smile(happy: number): { Value: boolean; Confidence: number } {
  return { Value: happy >= 0.5, Confidence: percent(Math.max(happy, 1 - happy) * 100) };
}

function emotions(expressions: Record<Expression, number>): FaceDetail['Emotions'] {
  return (Object.keys(EMOTIONS) as Expression[])
    .map((name) => ({ Type: EMOTIONS[name], Confidence: percent(expressions[name] * 100) }))
    .sort((a, b) => b.Confidence - a.Confidence);
}

function ratio(value: number): number {
  return Number(value.toFixed(7));
}

function percent(value: number): number {
  return Number(value.toFixed(4));
}

function degrees(radians: number): number {
  return percent((radians * 180) / Math.PI);
}

function limit(value: number, bound: number): number {
  return Math.min(bound, Math.max(-bound, value));
}
