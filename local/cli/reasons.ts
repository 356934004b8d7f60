/** What a failure means to the person whose photo it is, for the failures that are the photo's own. */
const explanations: Readonly<Record<string, string>> = {
  InvalidPhotoKey: 'the name makes no valid key',
  InvalidImageFormat: 'not a JPEG or PNG, or one that cannot be read',
  ImageTooLarge: 'more bytes or pixels than Rekognition takes',
  InvalidS3Object: 'the photo could not be fetched from S3',
  InvalidParameter: 'refused by Rekognition: a side under 80 pixels, for instance',
};

/** Undefined for a failure that only its own message explains. */
export function explanationOf(code: string | null): string | undefined {
  return code !== null && Object.hasOwn(explanations, code) ? explanations[code] : undefined;
}

/** `Rekognition XException: text (request 1-2-3)` -> `text` */
export function withoutServiceNoise(message: string): string {
  return message.replace(/^\w+ \w+(Exception|Error): /, '').replace(/ \(request [^)]*\)$/, '');
}

/** What photos wait for after these errors, for whoever watches them; undefined for what passes within moments. */
export function whyHeld(errors: ReadonlySet<string>): string | undefined {
  if (errors.has('IndexingPaused')) {
    return 'indexing is paused: npm run ops -- resume --local';
  }
  if (errors.has('DailyImageCapReached')) {
    return "today's images are used up: npm run ops -- cap --images N --local";
  }
  if (errors.has('PhotographerCapReached')) {
    return "the photographer's images of today are used up: npm run ops -- cap --photographer ID --images N --local";
  }
  return undefined;
}
