import { createHash, createHmac } from 'node:crypto';
import { S3Client } from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { photoUrls } from '../../../lambdas/read-gallery/photo-url.ts';
import '../../support/seed.ts';

const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret', sessionToken: 'session' };
/** As docs/openapi.json promises, in seconds. */
const FIVE_MINUTES = '300';
const REGION = 'eu-west-1';

const hmac = (key: Buffer | string, text: string) => createHmac('sha256', key).update(text).digest();

/** As S3 writes a path before it signs it, however it came. */
const canonicalPath = (path: string) =>
  path
    .split('/')
    .map((part) =>
      [...Buffer.from(decodeURIComponent(part))]
        .map((byte) => {
          const character = String.fromCharCode(byte);
          return /[\w.~-]/.test(character)
            ? character
            : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
        })
        .join(''),
    )
    .join('/');

/** What S3 reckons: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html */
function signatureOf(url: URL): string {
  const query = url.search.slice(1).split('&');
  const encoded = query
    .map((pair) => pair.replaceAll('+', '%20'))
    .filter((pair) => !pair.startsWith('X-Amz-Signature='))
    .sort();
  const date = url.searchParams.get('X-Amz-Date')!;
  const scope = url.searchParams.get('X-Amz-Credential')!.split('/').slice(1);
  const canonical = [
    'GET',
    canonicalPath(url.pathname),
    encoded.join('&'),
    `host:${url.host}`,
    '',
    'host',
    'UNSIGNED-PAYLOAD',
  ];
  const hash = createHash('sha256').update(canonical.join('\n')).digest('hex');
  const key = scope.reduce<Buffer | string>(hmac, `AWS4${credentials.secretAccessKey}`);
  return hmac(key, ['AWS4-HMAC-SHA256', date, scope.join('/'), hash].join('\n')).toString('hex');
}

test.each([
  ['AWS', {}, 'https://photos.s3.eu-west-1.amazonaws.com/'],
  [
    'this machine',
    { endpoint: 'http://127.0.0.1:4567', forcePathStyle: true },
    'http://127.0.0.1:4567/photos/',
  ],
])('whatever the key, S3 of %s takes the address, and it is that of the key', async (_, where, folder) => {
  const urlOf = photoUrls(new S3Client({ region: REGION, credentials, ...where }), 'photos');
  const name = fc.oneof(
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
    fc.constantFrom("it's (1)!*.JPG", 'a/b//c', 'ä ö+ü&=?#%2F', '~._-', 'x.jpg'),
  );
  await fc.assert(
    fc.asyncProperty(name, async (file) => {
      // What a URL takes for another folder is no name that a browser can ask for.
      fc.pre(file.isWellFormed() && !file.split('/').some((part) => /^\.{1,2}$/.test(part)));
      const url = new URL(await urlOf(`events/${file}`));
      expect(url.href.startsWith(`${folder}events/`)).toBe(true);
      expect(
        decodeURIComponent(url.pathname).endsWith(`/events/${file}`) || url.pathname === `/events/${file}`,
      ).toBe(true);
      expect(url.searchParams.get('X-Amz-Expires')).toBe(FIVE_MINUTES);
      expect(url.searchParams.get('X-Amz-Security-Token')).toBe('session');
      expect(url.searchParams.get('X-Amz-Signature')).toBe(signatureOf(url));
    }),
  );
});
