/** What is told to a local cloud, and what it is to those who use it. */
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import type { RekognitionClient } from '@aws-sdk/client-rekognition';
import type { S3Client } from '@aws-sdk/client-s3';
import type { BusEvent } from '../event-router.ts';
import type { Beside } from '../http-api.ts';
import type { Authority, PrivilegeReport } from '../iam/authority.ts';
import type { Disturber } from '../iam/gateway.ts';
import type { InvocationUsage, LambdaFunction, LambdaRuntime } from '../lambda-runtime.ts';
import type { LocalError } from '../local-error.ts';
import type { RekognitionOptions } from '../rekognition/server.ts';
import type { RunningCloud } from '../running-cloud.ts';
import type { ScheduledRule } from '../schedules.ts';
import type { Execution, ExecutionEnd } from '../state-machine.ts';

export interface CloudOptions {
  /** Absolute path. Everything lives under it. */
  stateDir: string;
  /** Fixed, so that the database's URL is the same every time. */
  postgresPort: number;
  /** Where S3, Rekognition and the HTTP API listen, if nobody else does; default: anywhere. */
  ports?: { s3: number; rekognition: number; api: number };
  /** Told what is going on: 'Synthesising the app', 'Indexing 6 photos', ... */
  onStep?: (step: string) => void;
  /** Everything that the Lambdas print: log lines as JSON, metrics in EMF. */
  onLambdaOutput?: (functionName: string, line: string) => void;
  /** What each invocation used of this machine. */
  onInvocation?: (functionName: string, used: InvocationUsage) => void;
  /** Execution environments of one function at most; default one for each core, two at least. */
  lambdaConcurrency?: number;
  /** Whether the functions that index photos start before the first photo comes. Default: false, when it comes. */
  preparesFunctions?: boolean;
  /** Quotas, faults and detector threads of the local Rekognition. */
  rekognition?: Pick<
    RekognitionOptions,
    'quotas' | 'intercept' | 'workers' | 'warmUp' | 'clock' | 'findFaces' | 'onCall'
  >;
  /** The IndexFaces quota that Service Quotas tells, at each question; default: the Region's. */
  appliedQuota?: () => number | undefined;
  /** CDK context beside cdk.json's, as `cdk synth --context` takes it. */
  context?: Readonly<Record<string, unknown>>;
  /** Folder of an app with a Rollcall in it, absolute; default: that of the state, else this project's own. */
  app?: string;
  /** What the template's times are multiplied by, to see hours of retries in a minute. Default 1 each. */
  time?: {
    /** Between two tries of a state. */
    retries?: number;
    /** Functions' timeouts. */
    lambdas?: number;
    /** Queues' visibility timeouts. */
    queues?: number;
    /** The time until a rule of a schedule is due. */
    schedules?: number;
  };
  /** Whether rules with a schedule are set off when they are due. Default: false, for runs of minutes. */
  schedules?: boolean;
  /**
   * What it works at: `all`, with what an earlier run could not finish, or `new`, only what is started from now on. What is not
   * worked at keeps. Default: `all`.
   */
  work?: 'all' | 'new';
  /**
   * Whether a run of another process may go on with what is in the folder. Without that nothing waits for the disk, and what S3 and
   * DynamoDB hold stays in memory. Default: true.
   */
  keeps?: boolean;
  /** What stands between the parts, to disturb them. */
  between?: Between;
}

/** `database` is asked once, at the start. */
export interface Between {
  /** What disturbs the Lambdas' way to a service. */
  services?: Partial<Record<'s3' | 'dynamodb', Disturber>>;
  /** On which port of localhost they look for PostgreSQL, given its own port and the folder of its TLS certificate and key. */
  database?(port: number, certificates: string): Promise<number>;
  /** Instead of an invocation; the runtime carries it out. */
  invoke?(fn: LambdaFunction, payload: unknown, lambdas: LambdaRuntime): Promise<unknown>;
  /** Instead of an event's way to the bus. */
  event?(event: BusEvent, publish: (event: BusEvent) => void): void;
}

export interface Cloud {
  /** URL of the superuser, for people and their tools. */
  databaseUrl: string;
  photoBucket: string;
  resultsBucket: string;
  collectionPrefix: string;
  /** Clients on the local endpoints. */
  s3: S3Client;
  rekognition: RekognitionClient;
  dynamodb: DynamoDBClient;
  /** The stack's outputs; `ApiUrl` is where its HTTP API is here. */
  outputs: Readonly<Record<string, string>>;
  /** Where its services are, for other clients. */
  services: RunningCloud;
  /** Hears of executions that end by themselves or are aborted. Returns what takes the listener away. */
  onExecutionEnd(listener: (end: ExecutionEnd) => void): () => void;
  /**
   * Starts an execution, as "Start execution" in the console does. Resolves to its ARN.
   *
   * @param stateMachineArn default: the photo pipeline
   */
  startExecution(input: unknown, stateMachineArn?: string): Promise<string>;
  /** Ends an execution as ABORTED, as "Stop" in the console does. */
  abortExecution(executionArn: string): void;
  /** Ends an execution as TIMED_OUT, as if its time were up. */
  timeOutExecution(executionArn: string): void;
  /** An execution that runs or ended not long ago, with its history. */
  describeExecution(executionArn: string): Execution | undefined;
  /** The photo pipeline's that run or ended not long ago, the latest first. */
  executions(): Execution[];
  /** Serves something else at the address of the HTTP API. */
  serveBeside(beside: Beside): void;
  /** The event of the object that lies under the key now, as it was when the object was created. */
  currentEvent(key: string): BusEvent;
  /** Puts an event on the bus. */
  deliver(event: BusEvent): void;
  /** The rules that have a schedule. */
  schedules: readonly ScheduledRule[];
  /** Sets off a rule by its name, as if it were due at this moment. */
  fireSchedule(rule: string, at?: Date): void;
  /** Runs a whole reconciliation, as of this moment, and resolves when it and what it started have ended. */
  reconcile(at?: Date): Promise<ExecutionEnd>;
  /** Delivers the current object's event once more, as EventBridge may. Rejects when there is no such object. */
  redeliver(key: string): Promise<void>;
  /** Calls within the quota since the start: those that AWS would charge. */
  rekognitionCalls(operation: string): number;
  /** What the policies of the stack's roles allowed and refused since the start; every call was judged by them. */
  privileges(): PrivilegeReport;
  /** The judge itself. */
  authority: Authority;
  /** Since the start, including those that an earlier run could not finish. */
  executionsStarted(): number;
  /** Executions that are open, and those of an earlier run that were not resumed. */
  unfinished(): number;
  /** The errors after which photos' executions wait for their next try. */
  waitingAfter(): Set<string>;
  /** Resolves when no execution is open. */
  idle(): Promise<void>;
  /** Resolves when a process that all of it needs ends by itself; there is one of them, PostgreSQL. */
  failed: Promise<LocalError>;
  /**
   * Ends all of it. Lambdas at work may finish first, within a moment if told to abort. Executions that are open then begin
   * anew with the next start, as after a crash.
   */
  stop(options?: { abort?: boolean }): Promise<void>;
}
