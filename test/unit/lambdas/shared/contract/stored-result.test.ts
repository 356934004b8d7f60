import { createHash } from 'node:crypto';
import {
  eventResultsFolder,
  otherResults,
  photoOfResult,
  readOtherResults,
  resultMetadata,
  resultsFolder,
  resultsKey,
} from '../../../../../lambdas/shared/contract/stored-result.ts';

const photo = {
  event_id: '0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77',
  photo_id: '9d2c4f60-71d4-4f5e-8a39-000000000001',
};
const FOLDER = `results/${photo.event_id}/${photo.photo_id}/`;

test('a response lies in the folder of its photo, in that of its event', () => {
  expect([eventResultsFolder(photo.event_id), resultsFolder(photo)]).toEqual([
    `results/${photo.event_id}/`,
    FOLDER,
  ]);
});

test.each([['d41d8cd98f00b204e9800998ecf8427e'], ['3HL4kqtJlcpXroDTDmJ'], ['a.b-c_D9'], ['x'.repeat(128)]])(
  'a version that is plainly one is its name: %s',
  (version) => {
    expect(resultsKey(photo, version)).toBe(`${FOLDER}${version}.json`);
  },
);

test.each([
  ['../other'],
  ['a/b'],
  [''],
  ['x'.repeat(129)],
  ['ä'],
  ['a b'],
  [' a'],
  ['a '],
  ['a\nb'],
  ['/a'],
  ['a/'],
])('any other is hashed, so that the key keeps its shape: %j', (version) => {
  const hash = createHash('sha256').update(version).digest('hex');
  expect(resultsKey(photo, version)).toBe(`${FOLDER}${hash}.json`);
  expect(photoOfResult(resultsKey(photo, version))).toBe(photo.photo_id);
});

test.each([
  [`${FOLDER}v1.json`, photo.photo_id],
  ['results/e/p/v.json', 'p'],
  ['results/e/v.json', undefined],
  ['results/e/p/q/v.json', undefined],
  ['results/e/p/v.jsonx', undefined],
  ['results/e/p/v.txt', undefined],
  ['xresults/e/p/v.json', undefined],
  ['results/e/p/', undefined],
  ['results//p/v.json', undefined],
])('whose response lies under %s: %s', (key, photoId) => {
  expect(photoOfResult(key)).toBe(photoId);
});

test('what stands for the other responses says which photo’s, and until when', () => {
  const name = otherResults(photo, new Date('2026-05-01T12:00:00Z'));
  expect(readOtherResults(name)).toEqual({
    photo_id: photo.photo_id,
    folder: FOLDER,
    before: '2026-05-01T12:00:00.000Z',
  });
  for (const other of [resultsKey(photo, 'v1'), FOLDER, '']) {
    expect(readOtherResults(other)).toBeUndefined();
  }
});

test('what is stored says its counts and its call under names that older objects have too', () => {
  expect(resultMetadata).toEqual({
    faceCount: 'face-count',
    unindexedCount: 'unindexed-count',
    calledAt: 'called-at',
  });
});
