import { ConfigurationError } from '../../lib/config/config.ts';
import { requireRekognition } from '../../lib/config/rekognition-regions.ts';
import { resolveTemplate, type Template } from '../../local/template.ts';
import { synthesised } from '../support/synthesised.ts';

/** IndexFaces calls a second by default. https://docs.aws.amazon.com/general/latest/gr/rekognition.html */
const withRekognition: [string, number][] = [
  ['us-east-1', 50],
  ['us-west-2', 50],
  ['eu-west-1', 50],
  ['us-east-2', 5],
  ['eu-central-1', 5],
  ['eu-west-2', 5],
  ['ap-southeast-2', 5],
  ['ap-northeast-1', 5],
  ['ca-central-1', 5],
  ['us-gov-west-1', 5],
];
const without = ['eu-west-3', 'eu-north-1', 'sa-east-1', 'af-south-1', 'cn-north-1'];

const template = synthesised({}).json as unknown as Template & {
  Rules: Record<string, { Assertions: { Assert: object; AssertDescription: string }[] }>;
};
const [assertion] = template.Rules.RekognitionIsAvailable!.Assertions;

/** The one template, as CloudFormation reads it in a Region. */
function deployedTo(region: string) {
  const here = JSON.parse(JSON.stringify(template).replaceAll('{"Ref":"AWS::Region"}', `"${region}"`));
  return resolveTemplate('Rollcall', here as Template, (logicalId) => ({ ref: logicalId, attributes: {} }));
}

function isAccepted(region: string): boolean {
  const { 'Fn::Contains': contains } = assertion!.Assert as { 'Fn::Contains': [string[], unknown] };
  expect(contains[1]).toEqual({ Ref: 'AWS::Region' });
  return contains[0].includes(region);
}

function refusal(region: string | undefined): string | undefined {
  try {
    requireRekognition(region);
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigurationError);
    return (error as Error).message;
  }
}

test.each(withRekognition)('%s takes the stack, at %d calls a second', (region, rate) => {
  expect(refusal(region)).toBeUndefined();
  expect(isAccepted(region)).toBe(true);
  const indexFaces = Object.entries(template.Resources).find(
    ([id, { Type }]) => Type === 'AWS::Lambda::Function' && id.startsWith('PhotoIndexingIndexFaces'),
  )![1];
  const { Variables: variables } = indexFaces.Properties!.Environment as {
    Variables: Record<string, unknown>;
  };
  expect(deployedTo(region).resolve(variables.INDEX_FACES_PER_SECOND)).toBe(String(rate));
});

test.each(without)('%s is refused in one line, before anything is created', (region) => {
  expect(refusal(region)).toMatch(
    new RegExp(`^Amazon Rekognition is not available in ${region}. Deploy to one of us-east-1,`),
  );
  expect(refusal(region)).not.toContain('\n');
  expect(isAccepted(region)).toBe(false);
});

test('where the Region is not known yet, CloudFormation refuses it', () => {
  expect(refusal(undefined)).toBeUndefined();
  expect(assertion!.AssertDescription).toMatch(/^Amazon Rekognition is not available in this Region/);
});

test('no part of the template knows a Region', () => {
  const { Rules: _, Conditions: __, ...rest } = template as unknown as Record<string, unknown>;
  expect(JSON.stringify(rest)).not.toMatch(
    /\b(us|eu|ap|ca|sa|af|me|il|cn)-(gov-)?(north|south|east|west|central)\w*-\d/,
  );
});

test('the engine has no minor version, which AWS may raise and retire', () => {
  const cluster = Object.values(template.Resources).find(({ Type }) => Type === 'AWS::RDS::DBCluster');
  expect(cluster?.Properties).toMatchObject({ Engine: 'aurora-postgresql', EngineVersion: '17' });
});
