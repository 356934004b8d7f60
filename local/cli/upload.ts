import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';

/**
 * Larger files go in parts of this size, so that none is ever in memory as a whole; S3 asks for at least 5 MiB a part. One
 * size for all files makes a file's ETag a matter of its content alone.
 */
export const PART_BYTES = 8 * 1024 * 1024;

/** A file as S3 would know it. */
export interface Content {
  /** Without quotes. */
  etag: string;
  /** Bytes. */
  size: number;
  /** The whole content, when it goes in one request. */
  body: Buffer | undefined;
}

/**
 * Reads a file once to know the ETag that S3 gives it: its MD5, or for an upload in parts the MD5 of the parts' MD5s and their
 * number. (https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html; it holds for SSE-S3 and not for SSE-KMS.)
 * A large file is never in memory as a whole.
 */
export async function readContent(path: string): Promise<Content> {
  await using file = await open(path);
  const digests: Buffer[] = [];
  let size = 0;
  let body: Buffer | undefined;
  for await (const part of parts(file)) {
    digests.push(createHash('md5').update(part).digest());
    body = size === 0 ? part : undefined;
    size += part.length;
  }
  if (digests.length <= 1) {
    return { etag: digests[0]?.toString('hex') ?? '', size, body };
  }
  const combined = createHash('md5').update(Buffer.concat(digests)).digest('hex');
  return { etag: `${combined}-${digests.length}`, size, body: undefined };
}

/** The file in parts of PART_BYTES; an empty file is one empty part. */
async function* parts(file: FileHandle): AsyncGenerator<Buffer<ArrayBuffer>> {
  const { size } = await file.stat();
  let position = 0;
  do {
    const buffer = Buffer.allocUnsafeSlow(Math.min(PART_BYTES, Math.max(size - position, 0)));
    let filled = 0;
    while (filled < buffer.length) {
      const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, position + filled);
      if (bytesRead === 0) {
        break;
      }
      filled += bytesRead;
    }
    yield buffer.subarray(0, filled);
    position += filled;
    if (filled < buffer.length) {
      return;
    }
  } while (position < size);
}

/** What lies under a key. */
export interface StoredPhotoObject {
  /** Without quotes. */
  etag: string;
  /** The folder that it was uploaded from, where a folder was. */
  folderId: string | undefined;
}

/** The object's metadata that names its folder. */
const FOLDER = 'rollcall-folder';

/** What lies under the key; undefined when nothing does. */
export async function storedObject(
  s3: S3Client,
  bucket: string,
  key: string,
): Promise<StoredPhotoObject | undefined> {
  try {
    const { ETag, Metadata } = await s3.send(new HeadObjectCommand({ Bucket: bucket, Key: key }));
    return { etag: unquoted(ETag), folderId: Metadata?.[FOLDER] };
  } catch (error) {
    if ((error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode === 404) {
      return undefined;
    }
    throw error;
  }
}

/** Puts the file under the key. Returns the new ETag, without quotes. */
export async function upload(
  s3: S3Client,
  target: { bucket: string; key: string; folderId: string },
  path: string,
  content: Content,
): Promise<string> {
  const { bucket: Bucket, key: Key } = target;
  const Metadata = { [FOLDER]: target.folderId };
  if (content.body) {
    const { ETag } = await s3.send(new PutObjectCommand({ Bucket, Key, Metadata, Body: content.body }));
    return unquoted(ETag);
  }
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key, Metadata }));
  try {
    await using file = await open(path);
    const uploaded: { ETag: string | undefined; PartNumber: number }[] = [];
    for await (const Body of parts(file)) {
      const PartNumber = uploaded.length + 1;
      const { ETag } = await s3.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body }));
      uploaded.push({ ETag, PartNumber });
    }
    const { ETag } = await s3.send(
      new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts: uploaded } }),
    );
    return unquoted(ETag);
  } catch (error) {
    await s3.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId })).catch(() => {});
    throw error;
  }
}

function unquoted(etag: string | undefined): string {
  return (etag ?? '').replaceAll('"', '');
}
