import { randomUUID } from 'node:crypto';
import { deletedKeys, type Service, type ServiceRequest } from './requests.ts';

export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** How each service says that a call is not allowed. */
export const denial: Record<Service, (message: string, request: ServiceRequest) => Answer> = {
  // https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; a HEAD has no body to say anything in.
  s3(message, request) {
    const headers = { 'content-type': 'application/xml', 'x-amz-request-id': randomUUID() };
    const error = `<Code>AccessDenied</Code><Message>${escaped(message)}</Message>`;
    if (request.method === 'POST') {
      // https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html: refused object by object
      const errors = deletedKeys(request.body).map(
        (key) => `<Error><Key>${escaped(key)}</Key>${error}</Error>`,
      );
      return { status: 200, headers, body: `<DeleteResult>${errors.join('')}</DeleteResult>` };
    }
    return { status: 403, headers, body: request.method === 'HEAD' ? '' : `<Error>${error}</Error>` };
  },
  sqs: (message) => json('1.0', 'com.amazonaws.sqs#AccessDeniedException', { message }),
  dynamodb: (message) => json('1.0', 'com.amazon.coral.service#AccessDeniedException', { Message: message }),
  rekognition: (message) => json('1.1', 'AccessDeniedException', { Message: message }),
  states: (message) => json('1.0', 'AccessDeniedException', { message }),
  // https://docs.aws.amazon.com/lambda/latest/api/CommonErrors.html
  lambda: (message) => ({ ...json('1.1', 'AccessDeniedException', { Message: message }), status: 403 }),
  secretsmanager: (message) => json('1.1', 'AccessDeniedException', { Message: message }),
  servicequotas: (message) => json('1.1', 'AccessDeniedException', { Message: message }),
  'rds-data': (message) => ({
    status: 403,
    headers: { 'content-type': 'application/json', 'x-amzn-errortype': 'AccessDeniedException' },
    body: JSON.stringify({ message }),
  }),
};

/** How a service says that it was not allowed to do something for its caller. */
export const denialOnBehalf: Record<Service, (message: string, request: ServiceRequest) => Answer> = {
  ...denial,
  // https://docs.aws.amazon.com/rekognition/latest/dg/error-handling.html
  rekognition: () =>
    json('1.1', 'InvalidS3ObjectException', {
      Message: 'Unable to get object metadata from S3. Check object key, region and/or access permissions.',
    }),
};

function json(version: string, type: string, body: object): Answer {
  return {
    status: 400,
    headers: {
      'content-type': `application/x-amz-json-${version}`,
      'x-amzn-requestid': randomUUID(),
      'x-amzn-errortype': type,
    },
    body: JSON.stringify({ __type: type, ...body }),
  };
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"]/g, (char) => `&#${char.codePointAt(0)};`);
}
