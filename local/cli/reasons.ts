/** What a failure means to the person whose photo it is. Kept to the failures that a photo can end with. */
const reasons: Readonly<Record<string, string>> = {
  InvalidPhotoKey: 'the name makes no valid key',
  InvalidImageFormat: 'not a JPEG or PNG that can be read',
  ImageTooLarge: 'too large: more bytes or pixels than Rekognition takes',
  InvalidS3Object: 'the photo could not be fetched from S3',
  InvalidParameter: 'refused by Rekognition, for instance under 80 px a side',
};

/** A few words about a failure: our own where we have them, else what the service said. */
export function reasonOf(code: string | null, message: string | null): string | null {
  if (code !== null && Object.hasOwn(reasons, code)) {
    return reasons[code] ?? null;
  }
  return message === null ? null : withoutServicePrefix(message);
}

/** `Rekognition XException: text (request 1-2-3)` -> `text` */
function withoutServicePrefix(message: string): string {
  return message.replace(/^\w+ \w+(Exception|Error): /, '').replace(/ \(request [^)]*\)$/, '');
}
