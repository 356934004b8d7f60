import { minimalFace, minimalUnindexedFace } from '../../../lambdas/index-faces/minimal-response.ts';

const kept = {
  BoundingBox: { Left: 0.1, Top: 0.2, Width: 0.3, Height: 0.4 },
  Confidence: 99,
  Quality: { Brightness: 80, Sharpness: 90 },
};
const detail = {
  ...kept,
  Pose: { Roll: 1, Yaw: 2, Pitch: 3 },
  Landmarks: [{ Type: 'nose' as const, X: 0, Y: 0 }],
};
const face = {
  FaceId: 'f1',
  ImageId: 'i1',
  ExternalImageId: 'photo-1',
  BoundingBox: kept.BoundingBox,
  Confidence: 99,
  IndexFacesModelVersion: '7.0',
};

test('a face keeps what says which it is, where, how sure and how well it is seen', () => {
  expect(minimalFace({ Face: { ...face, UserId: 'u1' }, FaceDetail: detail })).toEqual({
    Face: face,
    FaceDetail: kept,
  });
});

test('one that was not indexed keeps its reasons', () => {
  expect(minimalUnindexedFace({ Reasons: ['LOW_SHARPNESS'], FaceDetail: detail })).toEqual({
    Reasons: ['LOW_SHARPNESS'],
    FaceDetail: kept,
  });
});

test('what is not there is not there afterwards', () => {
  expect([minimalFace({}), minimalUnindexedFace({})]).toEqual([{}, {}]);
  const { Face, FaceDetail } = minimalFace({ Face: { FaceId: 'f1' }, FaceDetail: { Confidence: 99 } });
  expect([Object.keys(Face!), Object.keys(FaceDetail!)]).toEqual([['FaceId'], ['Confidence']]);
});
