import { checkUpload } from '../../../../../lambdas/shared/photos/upload-check.ts';

const MEGABYTES_15 = 15 * 1024 * 1024;
const named = (name: string, size?: number) => ({
  key: `events/e/${name}`,
  ...(size !== undefined && { size }),
});

test.each([
  ['a photo', named('a.jpg', 1)],
  ['the largest that Rekognition takes', named('a.png', MEGABYTES_15)],
  ['one whose size nobody told', named('a.jpg')],
  ['one in capitals', named('IMG_0001.JPG', 1)],
  ['a JPEG by whatever name', named('a.jfif', 1)],
  ['a name that only looks like an extension', named('Anna & Tom, 1. Tanz', 1)],
  ['an extension somewhere else', named('clip.mp4.jpg', 1)],
  ['a folder with one', named('scan.pdf/a.jpg', 1)],
])('%s goes on', (_, object) => {
  expect(() => checkUpload(object)).not.toThrow();
});

test.each([
  ['an empty file', named('a.jpg', 0), 'InvalidImageFormat'],
  ['one byte too many', named('a.jpg', MEGABYTES_15 + 1), 'ImageTooLarge'],
  ['a film', named('clip.mp4', 1), 'InvalidImageFormat'],
  ['a film in capitals', named('MVI_0001.MOV', 1), 'InvalidImageFormat'],
  ['a document', named('notes.pdf'), 'InvalidImageFormat'],
  ['what Rekognition does not take though it is a picture', named('a.heic', 1), 'InvalidImageFormat'],
  // What is wrong with the bytes is nearer to the truth than what a name says.
  ['a large film', named('clip.mp4', MEGABYTES_15 + 1), 'ImageTooLarge'],
])('%s is refused', (_, object, name) => {
  expect(() => checkUpload(object)).toThrow(expect.objectContaining({ name }));
});

test('a refusal by the name says what is wanted', () => {
  expect(() => checkUpload(named('clip.MOV', 1))).toThrow(/\.mov.*JPEG and PNG/);
});
