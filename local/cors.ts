/** A rule of a bucket's CORS configuration, as CloudFormation has it. */
export interface CorsRule {
  AllowedOrigins: readonly string[];
  AllowedMethods: readonly string[];
  AllowedHeaders?: readonly string[];
  ExposedHeaders?: readonly string[];
  MaxAge?: number;
}

/**
 * What S3 tells a browser: the headers of the first rule that fits; undefined where none does.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html
 *
 * @param method what the page wants to do: of a preflight, its Access-Control-Request-Method
 */
export function corsHeaders(
  rules: readonly CorsRule[],
  { origin, method, headers }: { origin: string; method: string; headers?: string | undefined },
): Record<string, string> | undefined {
  const rule = rules.find(
    ({ AllowedOrigins: origins, AllowedMethods: methods }) =>
      origins.some((allowed) => allowed === '*' || allowed === origin) && methods.includes(method),
  );
  return (
    rule && {
      'access-control-allow-origin': origin,
      'access-control-allow-methods': rule.AllowedMethods.join(', '),
      ...(headers && rule.AllowedHeaders?.includes('*') && { 'access-control-allow-headers': headers }),
      ...(rule.ExposedHeaders && { 'access-control-expose-headers': rule.ExposedHeaders.join(', ') }),
      ...(rule.MaxAge !== undefined && { 'access-control-max-age': String(rule.MaxAge) }),
      vary: 'Origin',
    }
  );
}
