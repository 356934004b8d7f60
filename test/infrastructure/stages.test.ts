import { configurations, LEDGER } from '../support/configurations.ts';
import { synthesised } from '../support/synthesised.ts';
import { type ReadableTemplate, rolesOf } from '../support/template.ts';

const production = synthesised(configurations.budget);
const test2 = synthesised(configurations.stage);

/** What CloudFormation would not make unique by itself: names that are written down. */
const NAMES =
  /^(Alarm|Dashboard|LogGroup|Budget|Bucket|Table|Function|Queue|StateMachine|Topic|Display)?Name$/;

/** Names within a role, a cluster or another service, which every stack has for itself. */
function namesOf(template: ReadableTemplate): string[] {
  const found: string[] = [];
  const collect = (value: unknown): void => {
    for (const [property, inner] of Object.entries(value ?? {})) {
      if (NAMES.test(property)) {
        const name = template.text(inner);
        // A reference is to a resource of the stack's own.
        if (!/^\{[^:}]+\}$/.test(name)) {
          found.push(name);
        }
      } else if (typeof inner === 'object') {
        collect(inner);
      }
    }
  };
  for (const { Type, Properties } of Object.values(template.json.Resources)) {
    if (!/^AWS::(IAM::|CloudWatch::Alarm$|SNS::Subscription)/.test(Type)) {
      collect(Properties);
    } else if (Properties?.AlarmName) {
      found.push(template.text(Properties.AlarmName));
    }
  }
  return found;
}

test('two stages in one account and Region share no name', () => {
  const names = namesOf(production);
  for (const known of [
    'Rollcall-stalled',
    'Rollcall-{AWS::Region}',
    'Rollcall-{AWS::Region}-monthly-budget',
    'Rollcall: warnings',
    'Rollcall/slowest photos',
  ]) {
    expect(names).toContain(known);
  }
  expect(names.filter((name) => name.startsWith('/aws/vendedlogs/states/Rollcall/'))).toHaveLength(4);
  const others = namesOf(test2);
  expect(others).toHaveLength(names.length);
  expect(names.filter((name) => others.includes(name))).toEqual([]);
  expect(others.filter((name) => !/^(\/aws\/vendedlogs\/states\/)?Rollcall-test\b/.test(name))).toEqual([]);
});

test('a log group that an earlier stack of the name left is not met again', () => {
  const groups = Object.values(production.resources('AWS::Logs::LogGroup')).flatMap(({ Properties }) =>
    Properties.LogGroupName ? [JSON.stringify(Properties.LogGroupName)] : [],
  );
  expect(groups).toHaveLength(4);
  for (const group of groups) {
    expect(group).toContain('{"Fn::Select":[2,{"Fn::Split":["/",{"Ref":"AWS::StackId"}]}]}');
  }
});

test('no stage counts the metrics of another', () => {
  const namespaces = (template: ReadableTemplate) => {
    const text = JSON.stringify(template.json);
    return new Set([
      ...[...text.matchAll(/"(?:Namespace|POWERTOOLS_METRICS_NAMESPACE)":"([^"]+)"/g)].map(
        ([, name]) => name,
      ),
      ...[...text.matchAll(/SEARCH\('\{([^,]+),/g)].map(([, name]) => name),
    ]);
  };
  const own = (template: ReadableTemplate) =>
    [...namespaces(template)].filter((name) => !name!.startsWith('AWS/'));
  expect(own(production)).toEqual(['Rollcall']);
  expect(own(test2)).toEqual(['Rollcall-test']);
  // The dashboard's body is text in JSON.
  expect(JSON.stringify(test2.json)).not.toMatch(/\\"Rollcall\\"/);
});

test('no stage may touch the collections of another', () => {
  const collections = (template: ReadableTemplate) =>
    new Set(
      [...JSON.stringify(rolesOf(template)).matchAll(/collection\/([^"*]+)\*/g)].map(([, prefix]) => prefix),
    );
  expect(collections(production)).toEqual(new Set(['rollcall-']));
  expect(collections(test2)).toEqual(new Set(['rollcall.test-']));
});

test("a stage that waits in another's line has no ledger of its own, and no right beyond that one", () => {
  const sharing = synthesised(configurations.sharingStage);
  expect(Object.keys(sharing.resources('AWS::DynamoDB::Table'))).toEqual([
    'IdempotencyTable',
    'PersonSearch/SearchLimits',
  ]);
  const roles = rolesOf(sharing);
  expect(roles['PhotoIndexing/JoinLineRole']?.allowed).toMatchObject({
    'dynamodb:GetItem': [LEDGER],
    'dynamodb:UpdateItem': [LEDGER],
  });
  const users = Object.keys(roles).filter((name) => JSON.stringify(roles[name]).includes(LEDGER));
  expect(users.sort()).toEqual([
    'Gallery/ReadGalleryRole',
    'PersonSearch/FindPersonRole',
    'PhotoIndexing/IndexFacesRole',
    'PhotoIndexing/JoinLineRole',
    'QuotaReading/ReadQuotaRole',
    'Reconciliation/BeginReconciliationRole',
    'Reconciliation/MendDisagreementsRole',
  ]);
  const functions = sharing.resources('AWS::Lambda::Function');
  for (const name of ['JoinLine', 'IndexFaces']) {
    expect(functions[`PhotoIndexing/${name}`]?.Properties.Environment).toMatchObject({
      Variables: { LEDGER_TABLE: 'Rollcall-SlotLedger83ED48C5-1ABC' },
    });
  }
  expect((sharing.json.Outputs as Record<string, { Value: unknown }>).SlotLedgerTableName?.Value).toBe(
    'Rollcall-SlotLedger83ED48C5-1ABC',
  );
});
