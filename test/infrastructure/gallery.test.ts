import { galleryRoutes } from '../../lambdas/shared/contract/gallery.ts';
import { searchRoutes } from '../../lambdas/shared/contract/search.ts';
import { configurations } from '../support/configurations.ts';
import { synthesised } from '../support/synthesised.ts';

const template = synthesised({});

test('every route asks IAM, and leads to the function on its side of the split', () => {
  const leadsTo = Object.fromEntries(
    Object.entries(template.resources('AWS::ApiGatewayV2::Integration')).map(([name, { Properties }]) => {
      expect(Properties).toMatchObject({ IntegrationType: 'AWS_PROXY', PayloadFormatVersion: '2.0' });
      return [name, template.text(Properties.IntegrationUri)];
    }),
  );
  const routes = Object.values(template.resources('AWS::ApiGatewayV2::Route')).map(({ Properties }) => {
    expect(Properties.AuthorizationType).toBe('AWS_IAM');
    const [, integration] = /^integrations\/\{(.*)\}$/.exec(template.text(Properties.Target))!;
    return [Properties.RouteKey, leadsTo[integration!]];
  });
  expect(Object.fromEntries(routes)).toEqual({
    ...Object.fromEntries(
      Object.values(galleryRoutes).map((path) => [`GET ${path}`, '{Gallery/ReadGallery.Arn}']),
    ),
    ...Object.fromEntries(
      Object.values(searchRoutes).map((path) => [`POST ${path}`, '{PersonSearch/FindPerson.Arn}']),
    ),
  });
});

test('no page of a browser may ask it, requests are limited, and the log tells who asked but not from where', () => {
  expect(template.only('AWS::ApiGatewayV2::Api').Properties.CorsConfiguration).toBeUndefined();
  const { Properties } = template.only('AWS::ApiGatewayV2::Stage');
  expect(Properties.DefaultRouteSettings).toEqual({ ThrottlingBurstLimit: 100, ThrottlingRateLimit: 50 });
  const { Format: format } = Properties.AccessLogSettings as { Format: string };
  expect(format).toContain('$context.identity.userArn');
  // Neither addresses nor ids of events.
  expect(format).not.toMatch(/sourceIp|userAgent|\$context\.path/);
});

test('without it there is no function, no alarm, no output and no way to DynamoDB', () => {
  const without = synthesised(configurations.withoutApi);
  const types = Object.values(without.json.Resources).map(({ Type }) => Type);
  expect(types.filter((type) => type.startsWith('AWS::ApiGateway'))).toEqual([]);
  expect(without.json.Outputs).not.toHaveProperty('ApiUrl');
  for (const name of ['ReadGallery', 'api-errors', 'api-latency', 'rollcall_gallery', 'TableClients']) {
    const isThere = [template, without].map(({ json }) => JSON.stringify(json).includes(name));
    expect([name, ...isThere]).toEqual([name, true, false]);
  }
  expect(Object.keys(without.resources('AWS::EC2::VPCEndpoint'))).toHaveLength(1);
});
