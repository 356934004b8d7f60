import { PipelineError } from '../contract/errors.ts';
import type { ExecutionInput } from '../contract/payloads.ts';

/** https://docs.aws.amazon.com/rekognition/latest/dg/limits.html: an image in S3 may have 15 MB. */
const MAX_IMAGE_BYTES = 15 * 1024 * 1024;

/**
 * Extensions that say for certain that a file is neither JPEG nor PNG, which is all that Rekognition takes
 * (https://docs.aws.amazon.com/rekognition/latest/dg/images-information.html): what else cameras, phones and computers
 * leave beside photos. Any other name goes on, because a JPEG may be called anything.
 */
const OTHER_TYPES = new Set(
  [
    'heic heif webp avif gif tif tiff bmp svg ico psd',
    'cr2 cr3 nef arw dng raf orf rw2 xmp aae',
    'mp4 m4v mov avi mkv webm mts 3gp mp3 m4a wav',
    'pdf txt csv html xml json doc docx xls xlsx ppt pptx',
    'zip gz tar rar 7z db ini',
  ].flatMap((line) => line.split(' ')),
);

/**
 * What the event of an upload already tells against it, before it costs a call, a collection or a place in line.
 *
 * @throws PipelineError `InvalidImageFormat`, `ImageTooLarge`
 */
export function checkUpload({ key, size }: Pick<ExecutionInput['object'], 'key' | 'size'>): void {
  if (size === 0) {
    throw new PipelineError('InvalidImageFormat', 'The photo is empty (0 bytes)');
  }
  if (size !== undefined && size > MAX_IMAGE_BYTES) {
    throw new PipelineError(
      'ImageTooLarge',
      `The photo has ${size} bytes; Rekognition takes at most ${MAX_IMAGE_BYTES}`,
    );
  }
  const extension = key.slice(key.lastIndexOf('.') + 1).toLowerCase();
  if (OTHER_TYPES.has(extension)) {
    throw new PipelineError(
      'InvalidImageFormat',
      `The name ends in .${extension}, and Rekognition takes JPEG and PNG only; a JPEG or PNG has to be named as one`,
    );
  }
}
