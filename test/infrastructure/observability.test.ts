import { readFileSync } from 'node:fs';
import path from 'node:path';
import { dashboardBody, drawDashboard } from '../../lib/observability/dashboard-picture.ts';
import { configurations } from '../support/configurations.ts';
import {
  type AlarmState,
  evaluateAlarm,
  type Reading,
  readings,
  type Sample,
} from '../support/metric-math.ts';
import { alarmsOf, dashboardOf, watchedMetrics } from '../support/observability.ts';
import { synthesised } from '../support/synthesised.ts';
import { listOf, type Statement } from '../support/template.ts';

const template = synthesised({});
const alarms = alarmsOf(template);
const names = Object.keys(alarms);

const CRITICAL = [
  'rekognition-errors',
  'dead-letters',
  'dead-letters-many',
  'spend-today',
  'daily-cap-reached',
  'setup-failures',
  'stalled',
  'database-unreachable',
  'erasures-stuck',
  'disagreements-left',
  'disagreements-old',
  'searches-failing',
];
const WARNING = [
  'photos-without-faces',
  'photos-at-fault',
  'photos-failed',
  'executions-failed',
  'collection-errors',
  'open-executions',
  'throttles',
  'function-throttles',
  'quota-changed',
  'processing-time',
  'reconciliation-failed',
  'api-errors',
  'api-latency',
  'searches-refused',
];

const NOW = Date.parse('2026-05-01T14:30:00Z');
const MINUTE = 60_000;

/** Values of one metric, evenly over the minutes before now. */
function over(
  minutes: number,
  namespace: string,
  name: string,
  dimensions: Record<string, string>,
  values: number | readonly number[],
): Sample[] {
  const all = typeof values === 'number' ? Array.from({ length: values }, () => 1) : values;
  return all.map((value, index) => ({
    namespace,
    name,
    dimensions,
    // Not on the edge of a period.
    atMs: NOW - minutes * MINUTE + ((index + 0.5) * minutes * MINUTE) / all.length,
    value,
  }));
}

/** What the Lambdas print: each time one, over the last quarter of an hour. */
const printed = (name: string, values: number | readonly number[], dimension: Record<string, string> = {}) =>
  over(15, 'Rollcall', name, { service: 'rollcall', ...dimension }, values);
const failedAttempts = (error: string, times: number) => printed('FailedAttempts', times, { Error: error });
const called = (state: string, times: number) =>
  over(15, 'AWS/Lambda', 'Invocations', { FunctionName: `{PhotoIndexing/${state}}` }, times);
const refused = (state: string, times: number) =>
  over(15, 'AWS/Lambda', 'Throttles', { FunctionName: `{PhotoIndexing/${state}}` }, times);
const ended = (how: 'Succeeded' | 'Failed', times: number) =>
  over(15, 'AWS/States', `Executions${how}`, { StateMachineArn: '{PhotoIndexing/StateMachine}' }, times);
const startedPhotos = (times: number) =>
  over(15, 'AWS/States', 'ExecutionsStarted', { StateMachineArn: '{PhotoIndexing/StateMachine}' }, times);
const messages = (queue: string, count: number, minutes = 15) =>
  over(
    minutes,
    'AWS/SQS',
    'ApproximateNumberOfMessagesVisible',
    { QueueName: `{${queue}/DeadLetters.QueueName}` },
    Array.from({ length: minutes }, () => count),
  );
const open = (count: number) =>
  over(
    15,
    'AWS/States',
    'OpenExecutionCount',
    {},
    Array.from({ length: 15 }, () => count),
  );

const ofApi = { ApiId: '{Gallery/Api}' };
/** In half an hour, as all of the API's. */
const requests = (times: number) => over(30, 'AWS/ApiGateway', 'Count', ofApi, times);
const answered = (how: '4xx' | '5xx', times: number) => over(30, 'AWS/ApiGateway', how, ofApi, times);
/** In each quarter of half an hour. */
const latency = (ms: number[]) => over(30, 'AWS/ApiGateway', 'Latency', ofApi, [...ms, ...ms]);

/** Nine thousand photos at ten a second, with the little that always goes wrong. */
const GOOD: Sample[] = [
  ...printed('RekognitionCalls', 9_000),
  ...printed('ImagesBilled', 8_985),
  ...printed('RekognitionErrors', 10),
  ...printed('Throttles', 5),
  ...printed('PhotosIndexed', 8_985),
  ...printed('PhotosWithoutFaces', 900),
  ...printed(
    'ProcessingTime',
    Array.from({ length: 1_000 }, (_, index) => 2_000 + 20 * index),
  ),
  ...printed('PhotosFailed', 10, { Class: 'photo' }),
  ...printed('CollectionErrors', 1),
  ...printed('Searches', 500),
  ...printed('SearchesBilled', 510),
  ...printed('SearchesFailed', 1),
  ...printed('SearchesWithoutPhotos', 60, { Reason: 'NobodyFound' }),
  ...printed('SearchesWithoutPhotos', 5, { Reason: 'SearchBusy' }),
  ...startedPhotos(9_000),
  ...printed('Reconciliations', 1),
  ...printed('Disagreements', [2]),
  ...printed('DisagreementsLeft', [0]),
  ...printed('DisagreementAge', [3_600]),
  ...failedAttempts('DatabaseUnavailable', 4),
  ...failedAttempts('AccessDenied', 1),
  ...['EnsureCollection', 'JoinLine', 'IndexFaces', 'PersistResults'].flatMap((state) =>
    called(state, 9_000),
  ),
  ...called('MarkFailed', 10),
  ...ended('Succeeded', 8_990),
  ...ended('Failed', 10),
  ...messages('ErasureRules', 0),
  ...messages('LastResort', 0),
  ...open(60),
  ...requests(3_000),
  ...answered('4xx', 20),
  ...answered('5xx', 1),
  ...latency([20, 30, 40, 120]),
];

/** For each alarm a quarter of an hour in which it has to go off, and one that comes close. */
const scenarios: Record<string, { bad: Sample[]; close: Sample[] }> = {
  'rekognition-errors': {
    bad: [...printed('RekognitionCalls', 100), ...printed('RekognitionErrors', 11)],
    // A tenth, and one broken photo at night.
    close: [...printed('RekognitionCalls', 100), ...printed('RekognitionErrors', 10)],
  },
  'dead-letters': {
    bad: messages('LastResort', 1),
    close: [...messages('ErasureRules', 1, 8), ...messages('LastResort', 0)],
  },
  'dead-letters-many': {
    bad: [...messages('ErasureRules', 60, 1), ...messages('LastResort', 41, 1)],
    close: messages('ErasureRules', 100),
  },
  'spend-today': {
    bad: [...printed('ImagesBilled', [43_500]), ...printed('SearchesBilled', [47_600])],
    close: [...printed('ImagesBilled', [43_400]), ...printed('SearchesBilled', [47_600])],
  },
  'daily-cap-reached': {
    bad: failedAttempts('DailyImageCapReached', 1),
    close: failedAttempts('IndexingPaused', 100),
  },
  'setup-failures': {
    bad: printed('PhotosFailed', 1, { Class: 'setup' }),
    close: [...printed('PhotosFailed', 100, { Class: 'photo' }), ...failedAttempts('AccessDenied', 2)],
  },
  stalled: {
    bad: [...called('PersistResults', 30), ...called('EnsureCollection', 3)],
    close: [...called('PersistResults', 30), ...ended('Succeeded', 3)],
  },
  'database-unreachable': {
    bad: [...failedAttempts('DatabaseUnavailable', 60), ...called('PersistResults', 60)],
    // A failover in the middle: half of the calls failed.
    close: [...failedAttempts('DatabaseUnavailable', 60), ...called('PersistResults', 120)],
  },
  'erasures-stuck': {
    bad: printed('ErasuresPostponed', 1),
    close: printed('ErasuresPostponed', [0, 0]),
  },
  'disagreements-left': {
    bad: printed('DisagreementsLeft', [0, 1, 0]),
    close: printed('DisagreementsLeft', [0, 0]),
  },
  'disagreements-old': {
    bad: printed('DisagreementAge', [0, 86_401]),
    close: printed('DisagreementAge', [86_400, 0]),
  },
  'searches-failing': {
    bad: [...printed('Searches', 44), ...printed('SearchesFailed', 5)],
    // A tenth of many, and a few at night.
    close: [...printed('Searches', 45), ...printed('SearchesFailed', 5)],
  },
  'searches-refused': {
    bad: [
      ...printed('SearchesWithoutPhotos', 60, { Reason: 'SearchLimitReached' }),
      ...printed('SearchesWithoutPhotos', 40, { Reason: 'SearchBusy' }),
      ...printed('SearchesWithoutPhotos', 1, { Reason: 'DailySearchCapReached' }),
    ],
    // Whoever is in no photo was not sent away.
    close: [
      ...printed('SearchesWithoutPhotos', 100, { Reason: 'SearchBusy' }),
      ...printed('SearchesWithoutPhotos', 900, { Reason: 'NobodyFound' }),
    ],
  },
  'reconciliation-failed': {
    bad: startedPhotos(10),
    close: [...startedPhotos(10), ...printed('Reconciliations', 1)],
  },
  'photos-without-faces': {
    bad: [...printed('PhotosIndexed', 100), ...printed('PhotosWithoutFaces', 51)],
    close: [...printed('PhotosIndexed', 100), ...printed('PhotosWithoutFaces', 50)],
  },
  'photos-at-fault': {
    bad: printed('PhotosFailed', 1_001, { Class: 'photo' }),
    // As many as it takes, and what fails for other reasons.
    close: [
      ...printed('PhotosFailed', 1_000, { Class: 'photo' }),
      ...printed('PhotosFailed', 500, { Class: 'transient' }),
    ],
  },
  'photos-failed': {
    bad: printed('PhotosFailed', 2_001),
    close: printed('PhotosFailed', 2_000),
  },
  'executions-failed': {
    // All that an integrator uploaded first; and every fourth of many, with nobody counting photos.
    bad: ended('Failed', 3),
    close: [...ended('Failed', 200), ...ended('Succeeded', 800)],
  },
  'collection-errors': {
    bad: printed('CollectionErrors', 6),
    close: printed('CollectionErrors', 5),
  },
  'open-executions': { bad: open(1_001), close: open(1_000) },
  throttles: {
    bad: [...printed('RekognitionCalls', 1_000), ...printed('Throttles', 11)],
    close: [...printed('RekognitionCalls', 1_000), ...printed('Throttles', 10)],
  },
  'function-throttles': {
    bad: [...refused('EnsureCollection', 60), ...refused('PersistResults', 41)],
    close: [...refused('EnsureCollection', 60), ...refused('PersistResults', 40)],
  },
  'quota-changed': {
    bad: printed('IndexFacesQuotaChanges', [1]),
    close: printed('IndexFacesQuotaChanges', [0]),
  },
  'api-errors': {
    bad: [...requests(600), ...answered('5xx', 66)],
    // A tenth; and what callers did wrong.
    close: [...requests(600), ...answered('5xx', 60), ...answered('4xx', 500)],
  },
  'api-latency': {
    bad: [...requests(200), ...latency([...Array(94).fill(20), ...Array(6).fill(2_100)])],
    // A database that wakes up twice.
    close: [...requests(200), ...latency([...Array(98).fill(20), ...Array(2).fill(15_000)])],
  },
  'processing-time': {
    bad: printed('ProcessingTime', [
      ...Array.from({ length: 90 }, () => 5_000),
      ...Array.from({ length: 10 }, () => 901_000),
    ]),
    close: printed('ProcessingTime', [
      ...Array.from({ length: 96 }, () => 5_000),
      ...Array.from({ length: 4 }, () => 901_000),
    ]),
  },
};

test('the alarms are these', () => {
  expect(names.sort()).toEqual([...CRITICAL, ...WARNING].sort());
  expect(Object.keys(scenarios).sort()).toEqual(names.sort());
});

describe.each(Object.entries(readings))(
  'the alarms, by the %s reading of missing data',
  (_name, reading: Reading) => {
    const state = (name: string, samples: readonly Sample[]): AlarmState =>
      evaluateAlarm(alarms[name]!, samples, NOW, reading);

    test.each([...CRITICAL, ...WARNING])(
      '%s goes off in a bad quarter of an hour, and not in a good one',
      (name) => {
        const { bad, close } = scenarios[name]!;
        expect(state(name, bad)).toBe('ALARM');
        expect(state(name, close)).toBe('OK');
        expect(state(name, GOOD)).toBe('OK');
        // Nothing happens most of the time.
        expect(state(name, [])).toBe('OK');
      },
    );

    test('a busy quarter of an hour does not hide a bad one', () => {
      const hidden = [
        'dead-letters',
        'spend-today',
        'daily-cap-reached',
        'setup-failures',
        'photos-at-fault',
        'photos-failed',
        'collection-errors',
      ];
      for (const name of hidden) {
        expect([name, state(name, [...GOOD, ...scenarios[name]!.bad])]).toEqual([name, 'ALARM']);
      }
    });

    test('a broken photo at night wakes nobody', () => {
      const night = [
        ...printed('RekognitionCalls', 1),
        ...printed('RekognitionErrors', 1),
        ...failedAttempts('InvalidImageFormat', 1),
        ...printed('PhotosFailed', 1, { Class: 'photo' }),
        ...called('EnsureCollection', 1),
        ...called('IndexFaces', 1),
        ...ended('Failed', 1),
      ];
      expect(names.filter((name) => state(name, night) !== 'OK')).toEqual([]);
    });

    test('a database that cannot be logged in to is a set-up failure, though no photo can be marked', () => {
      expect(state('setup-failures', failedAttempts('DatabaseMisconfigured', 9))).toBe('ALARM');
    });

    test('what an operator or the cap holds is not stalled', () => {
      for (const held of ['IndexingPaused', 'DailyImageCapReached']) {
        expect(state('stalled', [...called('JoinLine', 30), ...failedAttempts(held, 30)])).toBe('OK');
      }
    });

    test("a photographer's cap holds some, and hides nobody else's stall", () => {
      const own = alarmsOf(synthesised(configurations.tryOut));
      const stateOf = (name: string, samples: readonly Sample[]) =>
        evaluateAlarm(own[name]!, samples, NOW, reading);
      const held = [...called('JoinLine', 30), ...failedAttempts('PhotographerCapReached', 30)];
      expect(stateOf('stalled', held)).toBe('OK');
      expect(stateOf('stalled', [...held, ...called('PersistResults', 30)])).toBe('ALARM');
      expect(stateOf('stalled', called('PersistResults', 30))).toBe('ALARM');
      expect(stateOf('photographer-cap-reached', held)).toBe('ALARM');
      expect(stateOf('photographer-cap-reached', failedAttempts('DailyImageCapReached', 30))).toBe('OK');
      expect(stateOf('photographer-cap-reached', [])).toBe('OK');
    });

    test('a lone photo that ends after the edge of a period is not stalled', () => {
      const edge: Sample[] = [
        { ...called('EnsureCollection', 1)[0]!, atMs: NOW - 5 * MINUTE - 1_000 },
        { ...ended('Succeeded', 1)[0]!, atMs: NOW - 5 * MINUTE + 1_000 },
      ];
      expect(state('stalled', edge)).toBe('OK');
    });
  },
);

describe('the alarms', () => {
  test('a cap for each photographer brings one more', () => {
    const own = Object.keys(alarmsOf(synthesised(configurations.tryOut)));
    expect(own.filter((name) => !names.includes(name))).toEqual(['photographer-cap-reached']);
  });

  test.each([
    ['critical', CRITICAL],
    ['warning', WARNING],
  ])('those that are %s tell their topic, and again when it is over', (severity, expected) => {
    const topic = severity === 'critical' ? 'Critical' : 'Warning';
    const resources = Object.values(template.resources('AWS::CloudWatch::Alarm'));
    const told = resources.filter(
      ({ Properties }) =>
        template.text(listOf(Properties.AlarmActions as unknown[])[0]) === `{Observability/Topics/${topic}}`,
    );
    expect(
      told.map(({ Properties }) => (Properties.AlarmName as string).replace('Rollcall-', '')).sort(),
    ).toEqual([...expected].sort());
    for (const { Properties } of told) {
      expect(Properties.OKActions).toEqual(Properties.AlarmActions);
      expect(Properties.ActionsEnabled ?? true).toBe(true);
    }
  });

  test('say what happens, and link to their runbook section and the dashboard', () => {
    for (const [name, { AlarmDescription: text }] of Object.entries(alarms)) {
      expect(text).toMatch(
        new RegExp(
          `^.{40,600} Runbook: docs/runbook\\.md#${name} Dashboard: https://.*#dashboards/dashboard/Rollcall-`,
        ),
      );
      expect(text.length).toBeLessThan(1_000);
    }
    const own = alarmsOf(synthesised(configurations.runbook));
    expect(own.stalled?.AlarmDescription).toContain('Runbook: https://example.org/runbook#stalled ');
  });

  test('take their thresholds from the configuration', () => {
    const other = alarmsOf(synthesised(configurations.doubledThresholds));
    // These stand for a fact, not for a number.
    const fixed = [
      ...['dead-letters', 'daily-cap-reached', 'setup-failures', 'stalled', 'erasures-stuck'],
      'quota-changed',
    ];
    for (const name of names) {
      expect([name, other[name]!.Threshold]).toEqual([
        name,
        (fixed.includes(name) ? 1 : 2) * alarms[name]!.Threshold,
      ]);
    }
    expect(JSON.stringify(other['rekognition-errors']?.Metrics)).toContain('calls >= 100');
    expect(JSON.stringify(other['photos-without-faces']?.Metrics)).toContain('indexed >= 100');
  });

  test('watch every dead-letter queue', () => {
    const sources = [
      ...Object.values(template.resources('AWS::SQS::Queue')).map(
        ({ Properties }) =>
          (Properties.RedrivePolicy as { deadLetterTargetArn?: unknown } | undefined)?.deadLetterTargetArn,
      ),
      ...Object.values(template.resources('AWS::Events::Rule')).flatMap(({ Properties }) =>
        (Properties.Targets as { DeadLetterConfig?: { Arn: unknown } }[]).map(
          ({ DeadLetterConfig }) => DeadLetterConfig?.Arn,
        ),
      ),
    ].filter((arn) => arn !== undefined);
    // What a function reads from is at rest nowhere.
    const read = Object.values(template.resources('AWS::Lambda::EventSourceMapping')).map(({ Properties }) =>
      template.text(Properties.EventSourceArn),
    );
    const queues = [...new Set(sources.map((arn) => template.text(arn)))]
      .filter((arn) => !read.includes(arn))
      .map((arn) => arn.replace('.Arn', '.QueueName'))
      .sort();
    expect(queues.length).toBeGreaterThan(1);
    for (const name of ['dead-letters', 'dead-letters-many']) {
      const watched = watchedMetrics(template)
        .filter(({ by }) => by === name)
        .map(({ dimensions }) => dimensions.QueueName);
      expect([name, [...watched].sort()]).toEqual([name, queues]);
    }
  });
});

/** https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html, .../lambda/latest/dg/monitoring-metrics-types.html, .../step-functions/latest/dg/procedure-cw-metrics.html, .../AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html */
const OF_AWS: Record<string, string[]> = {
  'AWS/Lambda Invocations': ['FunctionName'],
  'AWS/Lambda Throttles': ['FunctionName'],
  'AWS/States ExecutionsStarted': ['StateMachineArn'],
  'AWS/States ExecutionsSucceeded': ['StateMachineArn'],
  'AWS/States ExecutionsFailed': ['StateMachineArn'],
  'AWS/States ExecutionsTimedOut': ['StateMachineArn'],
  'AWS/States OpenExecutionCount': [],
  'AWS/ApiGateway Count': ['ApiId'],
  'AWS/ApiGateway 4xx': ['ApiId'],
  'AWS/ApiGateway 5xx': ['ApiId'],
  'AWS/ApiGateway IntegrationLatency': ['ApiId'],
  'AWS/ApiGateway Latency': ['ApiId'],
  'AWS/SQS ApproximateNumberOfMessagesVisible': ['QueueName'],
};

test('what AWS counts is asked for by the names and dimensions that AWS documents', () => {
  const ofAws = watchedMetrics(template).filter(({ namespace }) => namespace !== 'Rollcall');
  expect(ofAws.length).toBeGreaterThan(5);
  for (const { by, namespace, name, dimensions } of ofAws) {
    expect([by, name, Object.keys(dimensions)]).toEqual([by, name, OF_AWS[`${namespace} ${name}`]]);
  }
});

describe('the topics', () => {
  test('are encrypted, take messages over TLS only, and from CloudWatch and Budgets of this account', () => {
    const topics = template.resources('AWS::SNS::Topic');
    expect(Object.keys(topics).sort()).toEqual([
      'Observability/Topics/Critical',
      'Observability/Topics/Warning',
    ]);
    const senders = { Service: ['budgets.amazonaws.com', 'cloudwatch.amazonaws.com'] };
    const account = { StringEquals: { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } } };
    for (const [name, topic] of Object.entries(topics)) {
      expect(template.text(topic.Properties.KmsMasterKeyId)).toBe('{Observability/Topics/Key.Arn}');
      const policy = template.resources('AWS::SNS::TopicPolicy')[`${name}/Policy`]!.Properties;
      const statements = (policy.PolicyDocument as { Statement: Statement[] }).Statement;
      expect(statements).toEqual([
        expect.objectContaining({
          Effect: 'Deny',
          Principal: '*',
          Condition: { Bool: { 'aws:SecureTransport': 'false' } },
        }),
        expect.objectContaining({ Effect: 'Allow', Principal: senders, Condition: account }),
      ]);
    }
    const key = template.only('AWS::KMS::Key').Properties;
    expect(key.EnableKeyRotation).toBe(true);
    expect((key.KeyPolicy as { Statement: Statement[] }).Statement).toContainEqual({
      Action: ['kms:Decrypt', 'kms:GenerateDataKey*'],
      Condition: account,
      Effect: 'Allow',
      Principal: senders,
      Resource: '*',
    });
  });

  test('mail to whom is configured, and to nobody by default', () => {
    expect(template.resources('AWS::SNS::Subscription')).toEqual({});
    const configured = synthesised(configurations.mails);
    const mails = Object.values(configured.resources('AWS::SNS::Subscription')).map(({ Properties }) => [
      Properties.Protocol,
      Properties.Endpoint,
      configured.text(Properties.TopicArn),
    ]);
    expect(mails).toEqual([
      ['email', 'a@example.org', '{Observability/Topics/Critical}'],
      ['email', 'b@example.org', '{Observability/Topics/Warning}'],
    ]);
  });
});

describe('the budget', () => {
  const budgeted = synthesised(configurations.budget);

  test('warns at 50, 80 and 100 % of the month, and when the forecast exceeds it', () => {
    const { Budget, NotificationsWithSubscribers } = budgeted.only('AWS::Budgets::Budget').Properties as {
      Budget: object;
      NotificationsWithSubscribers: {
        Notification: { NotificationType: string; Threshold: number };
        Subscribers: { SubscriptionType: string; Address: unknown }[];
      }[];
    };
    expect(Budget).toMatchObject({ BudgetLimit: { Amount: 500, Unit: 'USD' }, TimeUnit: 'MONTHLY' });
    expect(
      NotificationsWithSubscribers.map(({ Notification: { NotificationType: type, Threshold: percent } }) => [
        type,
        percent,
      ]),
    ).toEqual([
      ['ACTUAL', 50],
      ['ACTUAL', 80],
      ['ACTUAL', 100],
      ['FORECASTED', 100],
    ]);
    for (const { Subscribers } of NotificationsWithSubscribers) {
      expect(Subscribers.map(({ Address }) => budgeted.text(Address))).toEqual([
        '{Observability/Topics/Warning}',
      ]);
    }
    // Budgets publishes a test message when it is made.
    expect(budgeted.only('AWS::Budgets::Budget').DependsOn).toContainEqual(
      Object.keys(budgeted.json.Resources).find(
        (id) => budgeted.path(id) === 'Observability/Topics/Warning/Policy',
      ),
    );
  });

  test('is an option, because not every account may create one', () => {
    expect(template.resources('AWS::Budgets::Budget')).toEqual({});
  });
});

describe('the dashboard', () => {
  const { widgets } = dashboardOf(template);

  test('answers in this order', () => {
    const headings = widgets
      .filter(({ type }) => type === 'text')
      .map(({ properties, y }) => ({ text: properties.markdown!, y }));
    expect(headings.map(({ text }) => text.split('\n')[0])).toEqual([
      '## Is it working now?',
      '## How fast, against the quota?',
      '## What fails, and why?',
      '## What do galleries get?',
      '## Do people find their photos?',
      '## What does it cost?',
    ]);
    expect(headings.map(({ y }) => y)).toEqual(headings.map(({ y }) => y).sort((a, b) => a - b));
  });

  test('shows every alarm, and links to the executions, the log queries and the alarms', () => {
    const shown = widgets.flatMap(({ properties }) => properties.alarms ?? []);
    expect(shown.map((arn) => arn.replace(/.*\/(.*)\.Arn\}/, '$1')).sort()).toEqual(names.sort());
    const links = widgets[0]!.properties.markdown!;
    for (const target of [
      '#/statemachines/view/',
      '#logsV2:logs-insights',
      '#alarmsV2:',
      'docs/runbook.md',
    ]) {
      expect(links).toContain(target);
    }
  });

  test('covers the page without gaps or overlaps', () => {
    const taken = new Map<string, number>();
    for (const { x, y, width, height } of widgets) {
      expect(x + width).toBeLessThanOrEqual(24);
      for (let column = x; column < x + width; column++) {
        for (let row = y; row < y + height; row++) {
          const cell = `${column} ${row}`;
          taken.set(cell, (taken.get(cell) ?? 0) + 1);
        }
      }
    }
    const bottom = Math.max(...widgets.map(({ y, height }) => y + height));
    expect([taken.size, Math.max(...taken.values())]).toEqual([24 * bottom, 1]);
  });

  test("draws the quota, also where CloudFormation looks it up, the alarm's limit and the cap", () => {
    const body = template.text(template.only('AWS::CloudWatch::Dashboard').Properties.DashboardBody);
    expect(body).toMatch(/"value":\{"Fn::If":\["\w+","50","5"\]\},"label":"configured quota"/);
    const annotations = widgets.find(({ properties }) => properties.title === 'US dollars a day')?.properties
      .annotations;
    expect(annotations).toMatchObject({
      horizontal: [
        { value: 100, label: 'alarm' },
        { value: 230, label: 'daily cap' },
      ],
    });
  });
});

test('the log queries read the logs of all functions that handle photos', () => {
  const queries = Object.values(template.resources('AWS::Logs::QueryDefinition'));
  expect(queries.map(({ Properties }) => Properties.Name)).toEqual([
    "Rollcall/one photo's history",
    'Rollcall/errors by code',
    'Rollcall/slowest photos',
  ]);
  for (const { Properties } of queries) {
    expect((Properties.LogGroupNames as unknown[]).map((group) => template.text(group))).toEqual(
      ['EnsureCollection', 'JoinLine', 'IndexFaces', 'PersistResults', 'MarkFailed'].map(
        (name) => `{PhotoIndexing/${name}Logs}`,
      ),
    );
  }
});

test('the runbook has a section for every alarm, and for no other', () => {
  const runbook = readFileSync(path.join(import.meta.dirname, '../../docs/runbook.md'), 'utf8');
  const [, section = ''] = /^## Alarms$([\s\S]*?)(?=^## |(?![\s\S]))/m.exec(runbook) ?? [];
  const parts = section.split(/^### /m).slice(1);
  expect(parts.map((part) => part.split('\n')[0]!.trim()).sort()).toEqual(
    [...names, 'monthly-budget', 'photographer-cap-reached'].sort(),
  );
  for (const part of parts) {
    expect(part).toMatch(/\*\*Meaning\.\*\*[\s\S]+\*\*Look\.\*\*[\s\S]+\*\*Mend\.\*\*/);
  }
});

test('the picture of the dashboard is what would be deployed', () => {
  const picture = readFileSync(path.join(import.meta.dirname, '../../docs/dashboard.svg'), 'utf8');
  // When this fails: npm run docs:dashboard
  expect(drawDashboard(dashboardBody(template.json))).toBe(picture);
});
