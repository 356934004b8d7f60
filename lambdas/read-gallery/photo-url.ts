import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl, S3RequestPresigner } from '@aws-sdk/s3-request-presigner';
import { PHOTO_URL_SECONDS } from '../shared/contract/gallery.ts';

/**
 * Signs the address of a photo, with the function's own right to read it; nothing is sent.
 *
 * The SDK takes a millisecond for an address, most of it to find out where the bucket is: that is asked once, for no photo at all.
 */
export function photoUrls(s3: S3Client, bucket: string): (key: string) => Promise<string> {
  const presigner = new S3RequestPresigner(s3.config);
  let folder: Promise<URL> | undefined;
  return async (key) => {
    folder ??= getSignedUrl(s3, new GetObjectCommand({ Bucket: bucket, Key: NO_PHOTO })).then(
      (url) => new URL('.', url),
    );
    const { protocol, host, pathname } = await folder;
    const path = `${pathname}${encodeKey(key)}`;
    // All of a request that is signed.
    const request: Partial<SignedRequest> = { method: 'GET', path, query: {}, headers: { host } };
    const { query = {} } = await presigner.presign(request as SignedRequest, {
      expiresIn: PHOTO_URL_SECONDS,
    });
    return `${protocol}//${host}${path}?${new URLSearchParams(query as Record<string, string>)}`;
  };
}

type SignedRequest = Parameters<S3RequestPresigner['presign']>[0];

const NO_PHOTO = 'none';

/** As a signature has it: RFC 3986, with its slashes. */
function encodeKey(key: string): string {
  return key
    .split('/')
    .map((part) =>
      encodeURIComponent(part).replace(
        /[!'()*]/g,
        (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
      ),
    )
    .join('/');
}
