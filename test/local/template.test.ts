// biome-ignore-all lint/suspicious/noTemplateCurlyInString: placeholders of CloudFormation
import { resolveTemplate, type Template } from '../../local/template.ts';

function resolver(template: Partial<Template>) {
  return resolveTemplate('Stack', { Resources: {}, ...template }, (logicalId, { Type }) => ({
    ref: `${logicalId}-ref`,
    attributes: { Arn: `arn:${logicalId}`, 'Endpoint.Address': 'localhost', Type },
  }));
}

const Resources = { Fn: { Type: 'AWS::Lambda::Function', Properties: { Timeout: 3 } } };

test.each([
  ['a string', 'plain', 'plain'],
  ['Ref to a resource', { Ref: 'Fn' }, 'Fn-ref'],
  ['Ref to a parameter', { Ref: 'Size' }, 'small'],
  ['a pseudo parameter', { Ref: 'AWS::Region' }, 'us-east-1'],
  ['GetAtt', { 'Fn::GetAtt': ['Fn', 'Arn'] }, 'arn:Fn'],
  ['GetAtt with dots', { 'Fn::GetAtt': ['Fn', 'Endpoint.Address'] }, 'localhost'],
  ['GetAtt as text', { 'Fn::GetAtt': 'Fn.Endpoint.Address' }, 'localhost'],
  ['Join', { 'Fn::Join': ['-', ['a', { Ref: 'Fn' }, 1]] }, 'a-Fn-ref-1'],
  [
    'Sub',
    { 'Fn::Sub': '${AWS::AccountId}/${Fn}/${Fn.Arn}/${!Literal}' },
    '000000000000/Fn-ref/arn:Fn/${Literal}',
  ],
  ['Sub with variables', { 'Fn::Sub': ['${A}${Fn}', { A: { Ref: 'Size' } }] }, 'smallFn-ref'],
  ['Select and Split', { 'Fn::Select': [1, { 'Fn::Split': ['/', 'a/b/c'] }] }, 'b'],
  ['FindInMap', { 'Fn::FindInMap': ['Quota', { Ref: 'AWS::Region' }, 'PerSecond'] }, '50'],
  ['If, true', { 'Fn::If': ['IsSmall', 'yes', 'no'] }, 'yes'],
  ['If, by Not', { 'Fn::If': ['IsLarge', 'yes', 'no'] }, 'no'],
  ['NoValue in an object', { a: { Ref: 'AWS::NoValue' }, b: 1 }, { b: 1 }],
  ['NoValue in a list', [{ 'Fn::If': ['IsLarge', 1, { Ref: 'AWS::NoValue' }] }, 2], [2]],
  [
    'a policy condition, which is not a condition',
    { Condition: { Null: { a: 'false' } } },
    { Condition: { Null: { a: 'false' } } },
  ],
])('%s', (_, value, expected) => {
  const { resolve } = resolver({
    Resources,
    Parameters: { Size: { Type: 'String', Default: 'small' } },
    Mappings: { Quota: { 'us-east-1': { PerSecond: '50' } } },
    Conditions: {
      IsSmall: { 'Fn::Equals': [{ Ref: 'Size' }, 'small'] },
      IsLarge: {
        'Fn::And': [{ 'Fn::Not': [{ Condition: 'IsSmall' }] }, { 'Fn::Or': [{ Condition: 'IsSmall' }] }],
      },
    },
  });
  expect(resolve(value)).toEqual(expected);
});

test.each([
  ['an intrinsic function that is unknown', { 'Fn::ImportValue': 'x' }, /Fn::ImportValue/],
  ['a resource that is not there', { Ref: 'Nobody' }, /no resource Nobody/],
  [
    'an attribute without a local value',
    { 'Fn::GetAtt': ['Fn', 'Nope'] },
    /no Nope for Fn \(AWS::Lambda::Function\)/,
  ],
  ['a parameter without a default', { Ref: 'Bare' }, /parameter Bare has no default/],
  ['a mapping that is not there', { 'Fn::FindInMap': ['A', 'b', 'c'] }, /mapping A/],
])('names %s', (_, value, message) => {
  const { resolve } = resolver({ Resources, Parameters: { Bare: { Type: 'String' } } });
  expect(() => resolve(value)).toThrow(message);
});

test('resources and outputs follow their conditions', () => {
  const { resources, outputs } = resolver({
    Conditions: { Never: { 'Fn::Equals': ['a', 'b'] } },
    Resources: { ...Resources, Other: { Type: 'AWS::Lambda::Function', Condition: 'Never' } },
    Outputs: { Name: { Value: { Ref: 'Fn' } }, Hidden: { Value: 'x', Condition: 'Never' } },
  });
  expect(resources('AWS::Lambda::Function').map(({ logicalId }) => logicalId)).toEqual(['Fn']);
  expect(resources('AWS::Lambda::Function')[0]!.get('Timeout')).toBe(3);
  expect(resources('AWS::Lambda::Function')[0]!.get('Nothing')).toBeUndefined();
  expect(outputs()).toEqual({ Name: 'Fn-ref' });
});
