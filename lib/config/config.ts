import type { IConstruct } from 'constructs';
import { DEFAULT_SCHEMA } from '../../lambdas/shared/contract/names.ts';
import { DEFAULT_EVENTS_FOLDER } from '../../lambdas/shared/contract/photo-key.ts';
import {
  type AlarmThresholds,
  allowedAlarmThresholds,
  defaultAlarmThresholds,
  parseAlarmThresholds,
} from '../observability/alarm-thresholds.ts';

/**
 * What an engineer can choose. Every option has a default that works in a fresh account, but for one on AWS's Free
 * Plan, which has to bring its own `database`.
 *
 * Set them in `cdk.json`, as the object `rollcall` inside `context`:
 *
 *     "context": { "rollcall": { "maxFaces": 50, "tags": { "team": "photos" } } }
 *
 * or on the command line, where they win: `npx cdk deploy -c rollcall.maxFaces=50 -c rollcall.tags=team=photos`.
 */
export interface RollcallConfig {
  /**
   * Which of several deployments in one account and Region this is: a lower-case letter, then letters and digits, at most 16.
   *
   * Default: none, and the stack is `Rollcall`. With `test` it is `Rollcall-test`, and so begins everything of it that has a
   * name; `npm run ops -- status --stack Rollcall-test` operates it.
   */
  readonly stage: string | undefined;
  /**
   * IndexFaces calls per second that the account may make in this Region: the pace of the whole pipeline.
   *
   * Default: the quota that Service Quotas names, read every ten seconds while calls are made; until it was read, the Region's default
   * (50 in us-east-1, us-west-2 and eu-west-1, 5 elsewhere). Set it, lower, when other software shares the account.
   * Too high only costs throttled calls, because the pace adapts; too low wastes quota. 1,000 photos take 1,000 / rate seconds.
   */
  readonly indexFacesPerSecond: number | undefined;
  /**
   * ARN of another deployment's slot ledger in the same account and Region, which this one then shares: both wait in one line
   * for the one quota that Rekognition gives the account. Pause and daily cap belong to the ledger, so they hold for both.
   *
   * Default: a ledger of its own. Two ledgers would each use the whole quota, and slow down only when throttled.
   */
  readonly slotLedgerTableArn: string | undefined;
  /**
   * Images that may be indexed in a UTC day, all events together. When they are used up, photos wait, an alarm says so, and
   * they go on after midnight or when an operator raises the day's number. 1 to 100,000,000.
   *
   * Default: 200,000, about $230 a day. A call takes from it; one that Rekognition refused gives it back.
   */
  readonly dailyImageCap: number;
  /**
   * Images of one photographer (`events.photographer_id`) that may be indexed in a UTC day. When they are used up, that photographer's
   * photos wait until after midnight, and an alarm says so; everybody else's go on. An event without a photographer counts for
   * itself. 1 to 100,000,000.
   *
   * Default: none, and no cost. With a cap, counting costs about $0.0009 per 1,000 photos.
   */
  readonly dailyImagesPerPhotographer: number | undefined;
  /**
   * Which faces Rekognition drops for their quality: NONE, AUTO, LOW, MEDIUM or HIGH.
   *
   * Default: AUTO. NONE keeps every face it finds, blurred ones in the background too: more hits, more false ones, more
   * storage ($0.00001 a face and month).
   */
  readonly qualityFilter: QualityFilter;
  /** Largest number of faces indexed in one photo, the biggest first; 1 to 100 (Rekognition's limit). Default: 100. */
  readonly maxFaces: number;
  /**
   * Facial attributes that Rekognition returns with a face: DEFAULT (box, landmarks, pose, quality), ALL, or single ones.
   *
   * Default: DEFAULT. They cost nothing but time and space (ALL makes the stored response several times as large), and
   * searching does not use them. ALL also estimates age, gender and emotion: check that you may store that.
   */
  readonly detectionAttributes: readonly DetectionAttribute[];
  /**
   * Collection ids are this followed by the event's id; the functions may touch no other collection.
   *
   * Default: `rollcall-`, and `rollcall.{stage}-` where there is a stage: no prefix begins another one, so no deployment may
   * delete another's collections, as abandoned ones or with `removal: destroy`. Changing it later leaves the old collections behind.
   */
  readonly collectionPrefix: string;
  /**
   * Whether the photo bucket keeps old versions of a photo (for 30 days).
   *
   * Default: false; an overwritten photo is recognised by its ETag. True costs the storage of what was overwritten or deleted.
   */
  readonly photoBucketVersioned: boolean;
  /**
   * ARN of a KMS key of yours, in the same Region, that encrypts the photos (SSE-KMS). Its policy has to let this account's
   * IAM decide, as a new key's does; whoever uploads needs `kms:GenerateDataKey` on it.
   *
   * Default: S3's own key, free of charge. Photos that are uploaded under another key than the configured one cannot be read.
   */
  readonly photoBucketKeyArn: string | undefined;
  /**
   * Origins of web pages that may upload to the photo bucket from the browser (CORS), such as `https://app.example.org`.
   *
   * Default: none. It lets a page use the addresses that your API signs for it, and gives nobody a right (docs/uploads.md).
   */
  readonly uploadOrigins: readonly string[];
  /**
   * Other AWS accounts, by their ids, that may upload photos under `events/`: those of an upload API that does not run here.
   *
   * Default: none; nobody outside this account may do anything. They may put objects and neither read, list nor delete, and
   * each decides by its own policies who of it may.
   */
  readonly uploadAccounts: readonly string[];
  /**
   * Folder of the photo bucket that the events' folders are in, with its trailing slash: photos are `{eventsFolder}{event UUID}/...`.
   *
   * Default: `events/`. Choose where photos lie already, `uploads/`, before the first one is indexed: a photo's id is made of its
   * whole key.
   */
  readonly eventsFolder: string;
  /**
   * The HTTP API of what happened (docs/openapi.json): `iam` (callers sign with AWS credentials that may `execute-api:Invoke`
   * it) or `none`.
   *
   * Default: iam. Idle it costs the $0.40 a month of its alarms' metrics; a million calls cost about $1.90 (docs/cost.md), and
   * the first one after five idle minutes wakes Aurora. Nobody may call it who is not allowed to.
   */
  readonly api: 'iam' | 'none';
  /**
   * Days that the stored IndexFaces responses are kept; 1 to 3650.
   *
   * Default: 30, as long as the record that answers a redelivered event without a second billed call. Fewer days mean that
   * such an event can be billed again; everything the application reads is in Postgres.
   */
  readonly resultsRetentionDays: number;
  /**
   * What is kept of Rekognition's response, in the results bucket and in `faces.rekognition_response`: `full`, or `minimal`
   * (ids, boxes, confidence and quality; no landmarks, pose or other attributes).
   *
   * Default: full. Searching needs none of it; `minimal` keeps less about people, in fewer bytes.
   */
  readonly rekognitionResponse: 'full' | 'minimal';
  /**
   * Days that an event's faces are kept after its `expires_at`, or after its last photo where it has none; 1 to 3650.
   * Then the collection, the stored responses and the rows of the faces are deleted; photos and receipts stay.
   *
   * Default: 30.
   */
  readonly faceRetentionDays: number;
  /**
   * Searches for a person (SearchFacesByImage and SearchFaces) that the account may make a second in this Region.
   *
   * Default: the Region's default quota (50 in us-east-1, us-west-2 and eu-west-1, 5 elsewhere). Set it when your quota was
   * raised, or lower when other software shares the account.
   */
  readonly searchFacesPerSecond: number | undefined;
  /**
   * Searches that may be billed in a UTC day, all events together; 1 to 100,000,000. When they are used up, whoever searches is
   * told so until midnight.
   *
   * Default: 50,000, about $50 a day.
   */
  readonly dailySearchCap: number;
  /**
   * Searches in one event: as many at once, and as many an hour after that; 1 to 1,000,000.
   *
   * Default: 5,000. It bounds what can be collected about an event's people, and what an event's searches cost ($5 an hour).
   */
  readonly searchesPerEventHour: number;
  /**
   * The same by one caller, where who searches is told (`caller` of find-person); 1 to 1,000,000.
   *
   * Default: 60.
   */
  readonly searchesPerCallerHour: number;
  /** Days that the records of searches (event, time, number of photos found) are kept; 1 to 3650. Default: 30. */
  readonly searchRetentionDays: number;
  /**
   * Images that one reconciliation may index by itself: of uploads that were never seen, of photos without an end, of faces
   * that the collection lost. What is beyond is left to `npm run ops -- reconcile --fix`, and an alarm says so; 0 to 10,000.
   *
   * Default: 100, about $0.12 a run. A run a day, and more often only while photos come in.
   */
  readonly reconcileMaxImages: number;
  /**
   * Days that a collection has to be without an event, in the database and in the photo bucket, before the reconciliation
   * deletes it: those that a deleted try-out left behind; 1 to 365.
   *
   * Default: 7.
   */
  readonly abandonedCollectionDays: number;
  /** Days that logs are kept: a period that CloudWatch knows. Default: 30. CloudWatch charges $0.50 to ingest a GB and $0.03 a month to keep it. */
  readonly logRetentionDays: LogRetentionDays;
  /** Lowest level that the functions log. Default: INFO, about 1 KB a photo and function. DEBUG is for days, not for months. */
  readonly logLevel: LogLevel;
  /**
   * Whether X-Ray traces executions and functions.
   *
   * Default: false; the execution's history says the same of each photo. True costs up to $5 per million photos.
   */
  readonly tracing: boolean;
  /** Who gets an e-mail when photos are lost, stuck or too expensive; each address has to confirm. Default: nobody. */
  readonly criticalEmails: readonly string[];
  /** Who gets an e-mail when something deserves a look in working hours. Default: nobody. */
  readonly warningEmails: readonly string[];
  /** When the alarms go off. Default: see `alarm-thresholds.ts`. What they cost: docs/deploy.md. */
  readonly alarmThresholds: AlarmThresholds;
  /**
   * Where this project's `docs/runbook.md` can be read; the alarms link to its sections.
   *
   * Default: `docs/runbook.md`, the path in the repository. Give the address of your own copy.
   */
  readonly runbookUrl: string;
  /**
   * US dollars a month that AWS Budgets watches the account's bill for: a warning at 50, 80 and 100 % and when the forecast
   * exceeds it. 0 for no budget.
   *
   * Default: 0. Accounts younger than a day and some members of an organization may not create budgets, which would fail
   * the whole deployment. It counts all that the account spends, because Rekognition's calls carry no tag, and is some hours
   * late. `spend-today` needs no budget.
   */
  readonly monthlyBudgetUsd: number;
  /**
   * Where Postgres is: `aurora` (Aurora Serverless v2 in this stack: isolated subnets, IAM logins, no password) or
   * `external` (any PostgreSQL 15 or newer that Lambda reaches over the internet: Neon, Supabase, RDS).
   *
   * Default: aurora. It pauses when idle and then costs its storage ($0.10 per GB and month); a running capacity unit is
   * about $0.12 an hour. An account on AWS's Free Plan may not create such a cluster. `external` builds neither VPC nor cluster
   * and needs `databaseSecretArn`.
   */
  readonly database: 'aurora' | 'external';
  /**
   * With `external`: complete ARN (with its six random characters) of the secret whose string is
   * `postgresql://user:password@host:port/database`, encrypted with the account's `aws/secretsmanager` key.
   *
   * Default: none.
   */
  readonly databaseSecretArn: string | undefined;
  /**
   * With `external`: file with the certificate, in PEM, of the authority that signs the database's, from the folder of
   * `cdk.json`; several in one file are all trusted. It is not a secret, and travels beside the functions' code.
   *
   * Default: none, and the public authorities and RDS's own are trusted. With a file no other authority is.
   */
  readonly databaseCaCertificate: string | undefined;
  /**
   * With `external`: the schema that everything of Rollcall's is in, created by the first deployment: a lower-case letter or
   * `_`, then lower-case letters, digits and `_`. Two deployments in one database take two.
   *
   * Default: rollcall, as with `aurora`. `public` is where versions before had it.
   */
  readonly databaseSchema: string;
  /**
   * With `aurora`: smallest capacity in ACU (2 GiB each), in steps of 0.5; 0 to 256.
   *
   * Default: 0, which pauses after five idle minutes and takes up to 15 s to wake for the next photo. 0.5 never sleeps and
   * costs about $43 a month.
   */
  readonly auroraMinCapacity: number;
  /**
   * With `aurora`: largest capacity in ACU, in steps of 0.5; 1 to 256. It also bounds the connections.
   *
   * Default: 4, about 800 connections, eight times what 50 photos a second need; at most about $0.48 an hour.
   */
  readonly auroraMaxCapacity: number;
  /**
   * With `aurora`: the two or more availability zones of the network, by name.
   *
   * Default: the Region's first two. Choose when one of them is out of capacity or has no Aurora Serverless v2.
   */
  readonly availabilityZones: readonly string[] | undefined;
  /** With `aurora`: days that automatic backups are kept; 1 to 35. Default: 7. Backups up to the database's size are free. */
  readonly auroraBackupDays: number;
  /**
   * Concurrent executions reserved for each of the five pipeline functions, and their limit at once; 1 to 1000.
   *
   * Default: none. A new account may have 10 in all, and reserving any then fails the deployment. Reserve when other
   * functions of the account could starve these: 50 photos a second need about 100 for index-faces.
   */
  readonly lambdaReservedConcurrency: number | undefined;
  /**
   * What happens to photos, results, tables, logs and database when the stack is deleted: `retain` or `destroy`.
   *
   * Default: retain; the database stays as it is, with the network that it is in. `destroy` is for try-outs: it deletes every
   * photo with the stack, and every collection of its prefix. With `retain` the collections stay, because they are not part of
   * the stack. What a failed first deployment made is empty, and goes with both.
   */
  readonly removal: 'retain' | 'destroy';
  /**
   * Whether the stack cannot be deleted (CloudFormation's termination protection), nor the cluster (RDS's deletion
   * protection), before it is turned off again.
   *
   * Default: false, because both would keep a failed first deployment from being cleaned up and repeated. Turn it on when
   * the first one has succeeded, in `cdk.json`, so that no later one turns it off. What `removal` says holds without it.
   */
  readonly deletionProtection: boolean;
  /** Tags of every resource. Default: `{ "application": "rollcall" }`; yours replace it. */
  readonly tags: Readonly<Record<string, string>>;
}

const qualityFilters = ['NONE', 'AUTO', 'LOW', 'MEDIUM', 'HIGH'] as const;
type QualityFilter = (typeof qualityFilters)[number];

/** https://docs.aws.amazon.com/rekognition/latest/APIReference/API_IndexFaces.html */
const detectionAttributes = [
  'DEFAULT',
  'ALL',
  'AGE_RANGE',
  'BEARD',
  'EMOTIONS',
  'EYE_DIRECTION',
  'EYEGLASSES',
  'EYES_OPEN',
  'GENDER',
  'MOUTH_OPEN',
  'MUSTACHE',
  'FACE_OCCLUDED',
  'SMILE',
  'SUNGLASSES',
] as const;
type DetectionAttribute = (typeof detectionAttributes)[number];

/** https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html */
const logRetentionDays = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
] as const;
type LogRetentionDays = (typeof logRetentionDays)[number];

const logLevels = ['DEBUG', 'INFO', 'WARN', 'ERROR'] as const;
type LogLevel = (typeof logLevels)[number];

/** What is wrong with the configuration, in one line that says what is allowed. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
}

/** Reads one option; a value from the command line is always a string. */
interface Option<Value> {
  readonly default: Value;
  /** What may stand there, as the end of the sentence "allowed is ...". */
  readonly allowed: string;
  /** The value, or undefined when it is not allowed. */
  parse(value: unknown): Value | undefined;
}

const emails = list((item) => /^[^\s@,]{1,64}@[^\s@,]+\.[^\s@,]+$/.test(item), 'e-mail addresses');

const options: { [Name in keyof RollcallConfig]: Option<RollcallConfig[Name]> } = {
  stage: {
    default: undefined,
    // Without "-", so that the collection prefix of one stage cannot begin another's.
    allowed: 'a lower-case letter, then lower-case letters and digits, 16 at most',
    parse: matching(/^[a-z][a-z0-9]{0,15}$/),
  },
  indexFacesPerSecond: number<number | undefined>(undefined, { from: 0.1, to: 1000 }),
  slotLedgerTableArn: {
    default: undefined,
    allowed: 'the ARN of a table, arn:aws:dynamodb:REGION:ACCOUNT:table/NAME',
    parse: matching(/^arn:aws[\w-]*:dynamodb:[\w-]+:\d{12}:table\/[\w.-]{3,255}$/),
  },
  dailyImageCap: number(200_000, { from: 1, to: 100_000_000, step: 1 }),
  dailyImagesPerPhotographer: number<number | undefined>(undefined, { from: 1, to: 100_000_000, step: 1 }),
  qualityFilter: oneOf(qualityFilters, 'AUTO'),
  maxFaces: number(100, { from: 1, to: 100, step: 1 }),
  detectionAttributes: listOf(detectionAttributes, ['DEFAULT']),
  collectionPrefix: {
    default: 'rollcall-',
    // An event's id takes 36 of a collection id's 255 characters.
    allowed: '1 to 200 letters, digits, "_", "." or "-"',
    parse: matching(/^[a-zA-Z0-9_.-]{1,200}$/),
  },
  photoBucketVersioned: flag(false),
  photoBucketKeyArn: {
    default: undefined,
    allowed: 'the ARN of a KMS key (not of an alias), arn:aws:kms:REGION:ACCOUNT:key/ID',
    parse: matching(/^arn:aws[\w-]*:kms:[\w-]+:\d{12}:key\/[\w-]+$/),
  },
  uploadOrigins: list(
    (item) => /^https?:\/\/[a-z0-9.-]+(:\d{1,5})?$/.test(item),
    'origins as browsers send them, https://HOST or http://localhost:PORT, in lower case and without a path',
  ),
  uploadAccounts: list((item) => /^\d{12}$/.test(item), 'AWS account ids of 12 digits'),
  eventsFolder: {
    default: DEFAULT_EVENTS_FOLDER,
    allowed:
      "a folder's name with a trailing slash, of letters, digits and - _ . /, such as uploads/ or media/photos/",
    parse: matching(/^(?=.{2,200}$)(?!results\/|reconciliations\/|backfills\/)([\w.-]+\/)+$/),
  },
  api: oneOf(['iam', 'none'], 'iam'),
  resultsRetentionDays: number(30, { from: 1, to: 3650, step: 1 }),
  rekognitionResponse: oneOf(['full', 'minimal'], 'full'),
  faceRetentionDays: number(30, { from: 1, to: 3650, step: 1 }),
  searchFacesPerSecond: number<number | undefined>(undefined, { from: 0.1, to: 1000 }),
  dailySearchCap: number(50_000, { from: 1, to: 100_000_000, step: 1 }),
  searchesPerEventHour: number(5_000, { from: 1, to: 1_000_000, step: 1 }),
  searchesPerCallerHour: number(60, { from: 1, to: 1_000_000, step: 1 }),
  searchRetentionDays: number(30, { from: 1, to: 3650, step: 1 }),
  reconcileMaxImages: number(100, { from: 0, to: 10_000, step: 1 }),
  abandonedCollectionDays: number(7, { from: 1, to: 365, step: 1 }),
  logRetentionDays: {
    default: 30,
    allowed: `one of ${logRetentionDays.join(', ')}`,
    parse: (value) => logRetentionDays.find((days) => days === toNumber(value)),
  },
  logLevel: oneOf(logLevels, 'INFO'),
  tracing: flag(false),
  criticalEmails: emails,
  warningEmails: emails,
  alarmThresholds: {
    default: defaultAlarmThresholds,
    allowed: allowedAlarmThresholds,
    parse: parseAlarmThresholds,
  },
  runbookUrl: {
    default: 'docs/runbook.md',
    // An alarm's description has 1,024 characters.
    allowed: 'a path or an address without spaces and "#", of at most 300 ASCII characters',
    parse: matching(/^[!"$-~]{1,300}$/),
  },
  monthlyBudgetUsd: number(0, { from: 0, to: 10_000_000 }),
  database: oneOf(['aurora', 'external'], 'aurora'),
  databaseSecretArn: {
    default: undefined,
    allowed: 'the complete ARN of a secret, arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-XXXXXX',
    parse: matching(/^arn:aws[\w-]*:secretsmanager:[\w-]+:\d{12}:secret:[\w/+=.@-]+-\w{6}$/),
  },
  databaseCaCertificate: {
    default: undefined,
    allowed: 'the path of a file that ends in .pem, .crt or .cer',
    parse: matching(/^[^\0\n]{1,500}\.(pem|crt|cer)$/i),
  },
  databaseSchema: {
    default: DEFAULT_SCHEMA,
    allowed:
      'a lower-case letter or "_", then lower-case letters, digits and "_", 63 at most, and not "pg_" at its start',
    parse: matching(/^(?!pg_)[a-z_][a-z0-9_]{0,62}$/),
  },
  auroraMinCapacity: number(0, { from: 0, to: 256, step: 0.5 }),
  auroraMaxCapacity: number(4, { from: 1, to: 256, step: 0.5 }),
  availabilityZones: {
    default: undefined,
    allowed:
      'a list (on the command line: separated by commas) of two or more different zones, as us-east-1a',
    parse(value) {
      const items: unknown[] =
        typeof value === 'string' ? value.split(',') : Array.isArray(value) ? value : [];
      const isZone = (item: unknown): item is string =>
        typeof item === 'string' && /^[a-z]{2}(-[a-z]+)+-\d[a-z]$/.test(item);
      return items.length >= 2 && new Set(items).size === items.length && items.every(isZone)
        ? items
        : undefined;
    },
  },
  auroraBackupDays: number(7, { from: 1, to: 35, step: 1 }),
  lambdaReservedConcurrency: number<number | undefined>(undefined, { from: 1, to: 1000, step: 1 }),
  removal: oneOf(['retain', 'destroy'], 'retain'),
  deletionProtection: flag(false),
  tags: {
    default: { application: 'rollcall' },
    allowed:
      'an object of strings (on the command line: name=value,name=value), names of 1 to 128 and values of at most 256 characters',
    parse: parseTags,
  },
};

/**
 * Completes and checks what the user gave.
 *
 * @param given option names and values; values may be the strings of a command line
 * @throws ConfigurationError with one line that names the option and what is allowed
 */
export function parseConfig(given: Readonly<Record<string, unknown>> = {}): RollcallConfig {
  const unknown = Object.keys(given).find((name) => !Object.hasOwn(options, name));
  if (unknown !== undefined) {
    throw new ConfigurationError(
      `there is no option ${unknown}; the options are ${Object.keys(options).join(', ')}`,
    );
  }
  const config = Object.fromEntries(
    Object.entries<Option<unknown>>(options).map(([name, option]) => {
      if (given[name] === undefined) {
        return [name, option.default];
      }
      const value = option.parse(given[name]);
      if (value === undefined) {
        throw new ConfigurationError(
          `${name} is ${JSON.stringify(given[name])}; allowed is ${option.allowed}`,
        );
      }
      return [name, value];
    }),
  ) as unknown as RollcallConfig;
  checkTogether(config);
  return config.stage !== undefined && given.collectionPrefix === undefined
    ? { ...config, collectionPrefix: `rollcall.${config.stage}-` }
    : config;
}

/**
 * Reads the configuration out of a CDK app's context: the object `rollcall`, and over it every `rollcall.<option>`.
 *
 * @throws ConfigurationError
 */
export function configFromContext(scope: IConstruct): RollcallConfig {
  const context: Record<string, unknown> = scope.node.getAllContext();
  const file = context.rollcall ?? {};
  if (typeof file !== 'object' || file === null || Array.isArray(file)) {
    throw new ConfigurationError(
      'rollcall is not an object; in cdk.json write "rollcall": { "maxFaces": 50 }, on the command line -c rollcall.maxFaces=50',
    );
  }
  const bare = Object.keys(context).find((key) => Object.hasOwn(options, key));
  if (bare !== undefined) {
    throw new ConfigurationError(
      `${bare} would be ignored without its prefix: write -c rollcall.${bare}=..., or put it into "rollcall" in cdk.json`,
    );
  }
  const prefix = 'rollcall.';
  const commandLine = Object.entries(context)
    .filter(([key]) => key.startsWith(prefix))
    .map(([key, value]) => [key.slice(prefix.length), value]);
  return parseConfig({ ...file, ...Object.fromEntries(commandLine) });
}

function checkTogether(config: RollcallConfig): void {
  if (config.database === 'external' && config.databaseSecretArn === undefined) {
    throw new ConfigurationError(
      'database is "external", which needs databaseSecretArn: the ARN of the secret with the URL',
    );
  }
  if (config.database === 'aurora' && config.databaseSecretArn !== undefined) {
    throw new ConfigurationError(
      'databaseSecretArn is set, but database is "aurora"; set database to "external" or remove it',
    );
  }
  if (config.database === 'aurora' && config.databaseCaCertificate !== undefined) {
    throw new ConfigurationError(
      'databaseCaCertificate is set, but database is "aurora", whose authority Lambda knows; remove it',
    );
  }
  if (config.database === 'aurora' && config.databaseSchema !== DEFAULT_SCHEMA) {
    throw new ConfigurationError(
      `databaseSchema is ${JSON.stringify(config.databaseSchema)}, but database is "aurora", which is Rollcall's alone; remove it`,
    );
  }
  if (config.removal === 'destroy' && config.deletionProtection) {
    throw new ConfigurationError(
      'removal is "destroy", but deletionProtection is true; set one of them otherwise',
    );
  }
  if (config.auroraMinCapacity > config.auroraMaxCapacity) {
    throw new ConfigurationError(
      `auroraMinCapacity is ${config.auroraMinCapacity}; allowed is at most auroraMaxCapacity, ${config.auroraMaxCapacity}`,
    );
  }
}

function number<Default extends number | undefined>(
  fallback: Default,
  { from, to, step }: { from: number; to: number; step?: number },
): Option<number | Default> {
  const kind = step === 1 ? 'a whole number' : 'a number';
  return {
    default: fallback,
    allowed: `${kind} from ${from} to ${to}${step && step !== 1 ? ` in steps of ${step}` : ''}`,
    parse(value) {
      const parsed = toNumber(value);
      const fits = parsed >= from && parsed <= to && (step === undefined || Number.isInteger(parsed / step));
      return fits ? parsed : undefined;
    },
  };
}

function oneOf<const Value extends string>(
  values: readonly Value[],
  fallback: NoInfer<Value>,
): Option<Value> {
  return {
    default: fallback,
    allowed: `one of ${values.join(', ')}`,
    parse: (value) => values.find((allowed) => allowed === value),
  };
}

function listOf<const Value extends string>(
  values: readonly Value[],
  fallback: NoInfer<Value>[],
): Option<readonly Value[]> {
  return {
    default: fallback,
    allowed: `a list (on the command line: separated by commas) of ${values.join(', ')}`,
    parse(value) {
      const items: unknown[] =
        typeof value === 'string' ? value.split(',') : Array.isArray(value) ? value : [];
      const known = items.map((item) => values.find((allowed) => allowed === item));
      return known.length > 0 && known.every((item) => item !== undefined) ? known : undefined;
    },
  };
}

/** Of whatever passes; empty by default. */
function list(fits: (item: string) => boolean, kind: string): Option<readonly string[]> {
  return {
    default: [],
    allowed: `a list (on the command line: separated by commas) of ${kind}`,
    parse(value) {
      const items: unknown[] =
        typeof value === 'string' ? value.split(',') : Array.isArray(value) ? value : [null];
      return items.every((item): item is string => typeof item === 'string' && fits(item))
        ? items
        : undefined;
    },
  };
}

function flag(fallback: boolean): Option<boolean> {
  return {
    default: fallback,
    allowed: 'true or false',
    parse: (value) => [true, false].find((allowed) => value === allowed || value === String(allowed)),
  };
}

function matching(pattern: RegExp): (value: unknown) => string | undefined {
  return (value) => (typeof value === 'string' && pattern.test(value) ? value : undefined);
}

function toNumber(value: unknown): number {
  return typeof value === 'number'
    ? value
    : typeof value === 'string' && value.trim() !== ''
      ? Number(value)
      : Number.NaN;
}

function parseTags(value: unknown): Record<string, string> | undefined {
  const given =
    typeof value === 'string'
      ? Object.fromEntries(value.split(',').map((tag) => tag.split(/=(.*)/s, 2)))
      : value;
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    return undefined;
  }
  const fits = ([name, text]: [string, unknown]) =>
    /^.{1,128}$/s.test(name) && !/^aws:/i.test(name) && typeof text === 'string' && text.length <= 256;
  return Object.entries(given).every(fits) ? (given as Record<string, string>) : undefined;
}
