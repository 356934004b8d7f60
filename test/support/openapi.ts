import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';

interface Operation {
  operationId: string;
  parameters: { name: string; in: string; schema: object }[];
  requestBody?: { content: Record<string, { schema: { maxLength: number } }> };
  responses: Record<string, { content: Record<string, { schema: object }>; headers?: object }>;
}
type Method = 'get' | 'post';

export const openapi = JSON.parse(
  readFileSync(path.join(import.meta.dirname, '../../docs/openapi.json'), 'utf8'),
) as {
  openapi: string;
  paths: Record<string, Partial<Record<Method, Operation>>>;
  components: { schemas: Record<string, { enum?: unknown[]; properties?: Record<string, object> }> };
};

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const ajv = new Ajv2020({
  strict: false,
  allErrors: true,
  formats: {
    uuid: UUID,
    uri: (text: string) => URL.canParse(text),
    'date-time': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
  },
});
ajv.addSchema(openapi, 'openapi');

/** "GET /events/{event}" and its kin, as API Gateway names its routes. */
export const operations: Readonly<Record<string, Operation>> = Object.fromEntries(
  Object.entries(openapi.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => [`${method.toUpperCase()} ${path}`, operation]),
  ),
);

/**
 * What of an answer is not as the document says; nothing where all of it is.
 *
 * @param route "GET /events/{event}"
 */
export function deviations(
  route: string,
  { status, contentType, body }: { status: number; contentType: string; body: unknown },
): string[] {
  const pointer = (...parts: (number | string)[]) =>
    parts
      .map((part) => `/${encodeURIComponent(String(part).replaceAll('~', '~0').replaceAll('/', '~1'))}`)
      .join('');
  const [method = '', path = ''] = route.split(' ');
  const described = operations[route]?.responses[status]?.content[contentType];
  if (!described) {
    return [`${status} with ${contentType} is not described for ${route}`];
  }
  const at = pointer(
    'paths',
    path,
    method.toLowerCase(),
    'responses',
    status,
    'content',
    contentType,
    'schema',
  );
  const fits = ajv.compile({ $ref: `openapi#${at}` });
  return fits(body)
    ? []
    : (fits.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}
