import type { FaceDetail, FaceRecord, UnindexedFace } from '@aws-sdk/client-rekognition';

/** A face with its ids, box, confidence and quality; without landmarks, pose and whatever was estimated about the person. */
export function minimalFace({ Face, FaceDetail }: FaceRecord): FaceRecord {
  return {
    ...(Face && {
      Face: pick(Face, [
        'FaceId',
        'ImageId',
        'ExternalImageId',
        'BoundingBox',
        'Confidence',
        'IndexFacesModelVersion',
      ]),
    }),
    ...(FaceDetail && { FaceDetail: minimalDetail(FaceDetail) }),
  };
}

/** The same of a face that was not indexed, with the reasons. */
export function minimalUnindexedFace({ Reasons, FaceDetail }: UnindexedFace): UnindexedFace {
  return { ...(Reasons && { Reasons }), ...(FaceDetail && { FaceDetail: minimalDetail(FaceDetail) }) };
}

function minimalDetail(detail: FaceDetail): FaceDetail {
  return pick(detail, ['BoundingBox', 'Confidence', 'Quality']);
}

function pick<Value extends object, Name extends keyof Value>(
  value: Value,
  names: Name[],
): Pick<Value, Name> {
  return Object.fromEntries(
    names.filter((name) => value[name] !== undefined).map((name) => [name, value[name]]),
  ) as Pick<Value, Name>;
}
