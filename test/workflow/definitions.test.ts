/**
 * What each definition says apart from its retries and timeouts (which docs/retries.md holds): every state with what it is
 * given, what it calls, where its result goes and where the run goes on. Nothing may leave the files unnoticed, nor come in.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { machines } from '../support/retries.ts';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Said = Record<string, Json>;

/**
 * By machine: where it starts, and its states, those inside of Maps too. Of a catcher: its result and its next state. What
 * the stack fills in is in angle brackets.
 */
const said: Record<string, Record<string, Said>> = {
  backfill: {
    'the machine': { StartAt: 'Backfill' },
    Backfill: {
      Type: 'Map',
      ItemReader: {
        Resource: 'arn:<Partition>:states:::s3:listObjectsV2',
        Parameters: { Bucket: '<PhotoBucketName>', 'Prefix.$': '$.prefix' },
      },
      ItemBatcher: {
        MaxItemsPerBatch: 100,
        MaxInputBytesPerBatch: 131072,
        BatchInput: { bucket: '<PhotoBucketName>' },
      },
      MaxConcurrency: 8,
      ToleratedFailurePercentage: 20,
      ItemProcessor: {
        ProcessorConfig: { Mode: 'DISTRIBUTED', ExecutionType: 'STANDARD' },
        StartAt: 'SkipIndexed',
      },
      ResultWriter: {
        Resource: 'arn:<Partition>:states:::s3:putObject',
        Parameters: { Bucket: '<ResultsBucketName>', Prefix: 'backfills' },
      },
      End: true,
    },
    SkipIndexed: { Type: 'Task', Resource: '<SkipIndexedFunctionArn>', Next: 'AnythingLeft' },
    AnythingLeft: {
      Type: 'Choice',
      Choices: [{ Variable: '$.photos[0]', IsPresent: true, Next: 'IndexPhotos' }],
      Default: 'BatchDone',
    },
    IndexPhotos: {
      Type: 'Map',
      ItemsPath: '$.photos',
      MaxConcurrency: 40,
      ItemProcessor: { ProcessorConfig: { Mode: 'INLINE' }, StartAt: 'IndexPhoto' },
      ResultPath: '$.outcomes',
      Next: 'LookAtOutcomes',
    },
    IndexPhoto: {
      Type: 'Task',
      Resource: 'arn:<Partition>:states:::states:startExecution.sync:2',
      Parameters: { StateMachineArn: '<IndexPhotoStateMachineArn>', 'Input.$': '$' },
      Catch: [{ ResultPath: null, Next: 'PhotoFailed' }],
      Next: 'PhotoIndexed',
    },
    PhotoIndexed: { Type: 'Pass', Result: 'indexed', End: true },
    PhotoFailed: { Type: 'Pass', Result: 'failed', End: true },
    LookAtOutcomes: {
      Type: 'Pass',
      Parameters: {
        'skipped.$': '$.skipped',
        'any_indexed.$': "States.ArrayContains($.outcomes, 'indexed')",
      },
      Next: 'AnyIndexed',
    },
    AnyIndexed: {
      Type: 'Choice',
      Choices: [{ Variable: '$.any_indexed', BooleanEquals: true, Next: 'BatchDone' }],
      Default: 'NothingIndexed',
    },
    BatchDone: { Type: 'Pass', Parameters: { 'skipped.$': '$.skipped' }, End: true },
    NothingIndexed: {
      Type: 'Fail',
      Error: 'NothingIndexed',
      Cause: 'No photo of this batch could be indexed. Their rows say why: npm run ops -- failed',
    },
  },
  'erase-faces': {
    'the machine': { StartAt: 'RequestErasure' },
    RequestErasure: {
      Type: 'Task',
      Resource: '<RequestErasureFunctionArn>',
      Parameters: { 'input.$': '$', 'execution_arn.$': '$$.Execution.Id' },
      Next: 'ListErasures',
    },
    ListErasures: {
      Type: 'Task',
      Resource: '<ListErasuresFunctionArn>',
      Parameters: { 'input.$': '$', 'execution_arn.$': '$$.Execution.Id', max_batches: 500 },
      Next: 'NextStep',
    },
    NextStep: {
      Type: 'Choice',
      Choices: [
        { Variable: '$.next', StringEquals: 'remove', Next: 'RemoveFaces' },
        { Variable: '$.next', StringEquals: 'wait', Next: 'WaitForTurn' },
      ],
      Default: 'Erased',
    },
    WaitForTurn: { Type: 'Wait', SecondsPath: '$.wait_seconds', Next: 'ListErasures' },
    RemoveFaces: {
      Type: 'Task',
      Resource: '<RemoveFacesFunctionArn>',
      Parameters: { 'batch.$': '$.batch' },
      ResultPath: '$.batch',
      Catch: [{ ResultPath: '$.failure', Next: 'ConfirmErasure' }],
      Next: 'ConfirmErasure',
    },
    ConfirmErasure: {
      Type: 'Task',
      Resource: '<ConfirmErasureFunctionArn>',
      Parameters: { 'input.$': '$' },
      Next: 'ListErasures',
    },
    Erased: { Type: 'Succeed' },
  },
  'index-photo': {
    'the machine': { StartAt: 'EnsureCollection' },
    EnsureCollection: {
      Type: 'Task',
      Resource: '<EnsureCollectionFunctionArn>',
      Parameters: { 'input.$': '$', 'execution_arn.$': '$$.Execution.Id', max_recreations: 3 },
      ResultPath: '$.photo',
      Catch: [
        { ResultPath: '$.failure', Next: 'PhotoFailed' },
        { ResultPath: '$.failure', Next: 'MarkFailed' },
      ],
      Next: 'JoinLine',
    },
    JoinLine: {
      Type: 'Task',
      Resource: '<JoinLineFunctionArn>',
      Parameters: {
        'input.$': '$',
        'execution_arn.$': '$$.Execution.Id',
        max_throttles: 40,
        max_reindexes: 2,
        max_returns: 200,
      },
      ResultPath: '$.place',
      Catch: [{ ResultPath: '$.failure', Next: 'MarkFailed' }],
      Next: 'WaitInLine',
    },
    WaitInLine: { Type: 'Wait', TimestampPath: '$.place.wait_until', Next: 'IndexFaces' },
    IndexFaces: {
      Type: 'Task',
      Resource: '<IndexFacesFunctionArn>',
      Parameters: { 'input.$': '$', 'execution_arn.$': '$$.Execution.Id' },
      ResultPath: '$.result',
      Catch: [
        { ResultPath: '$.returned', Next: 'JoinLine' },
        { ResultPath: '$.returned', Next: 'EnsureCollection' },
        { ResultPath: '$.returned', Next: 'PhotoSuperseded' },
        { ResultPath: '$.failure', Next: 'MarkFailed' },
      ],
      Next: 'PersistResults',
    },
    PersistResults: {
      Type: 'Task',
      Resource: '<PersistResultsFunctionArn>',
      Parameters: {
        'input.$': '$',
        'execution_arn.$': '$$.Execution.Id',
        'started_at.$': '$$.Execution.StartTime',
      },
      ResultPath: '$.outcome',
      Catch: [
        { ResultPath: '$.returned', Next: 'JoinLine' },
        { ResultPath: '$.returned', Next: 'StartErasure' },
        { ResultPath: '$.failure', Next: 'MarkFailed' },
      ],
      End: true,
    },
    StartErasure: {
      Type: 'Task',
      Resource: 'arn:<Partition>:states:::states:startExecution',
      Parameters: { StateMachineArn: '<EraseFacesStateMachineArn>', Input: { request: 'outbox' } },
      ResultPath: null,
      Catch: [{ ResultPath: null, Next: 'PersistResults' }],
      Next: 'PersistResults',
    },
    PhotoSuperseded: { Type: 'Succeed' },
    MarkFailed: {
      Type: 'Task',
      Resource: '<MarkFailedFunctionArn>',
      Parameters: {
        'input.$': '$',
        'execution_arn.$': '$$.Execution.Id',
        'started_at.$': '$$.Execution.StartTime',
      },
      ResultPath: '$.marked',
      Catch: [{ ResultPath: '$.mark_failed_failure', Next: 'PhotoFailed' }],
      Next: 'AnyFacesLeft',
    },
    AnyFacesLeft: {
      Type: 'Choice',
      Choices: [
        {
          Or: [
            { Variable: '$.marked.effect', StringEquals: 'deleted' },
            { Variable: '$.marked.effect', StringEquals: 'superseded' },
            { Variable: '$.marked.effect', StringEquals: 'erased' },
            { Variable: '$.marked.effect', StringEquals: 'indexed' },
          ],
          Next: 'PhotoSettled',
        },
        {
          And: [
            { Variable: '$.marked.erasure_requested', IsPresent: true },
            { Variable: '$.marked.erasure_requested', BooleanEquals: true },
          ],
          Next: 'EraseLeftovers',
        },
      ],
      Default: 'PhotoFailed',
    },
    EraseLeftovers: {
      Type: 'Task',
      Resource: 'arn:<Partition>:states:::states:startExecution',
      Parameters: { StateMachineArn: '<EraseFacesStateMachineArn>', Input: { request: 'outbox' } },
      ResultPath: null,
      Catch: [{ ResultPath: null, Next: 'PhotoFailed' }],
      Next: 'PhotoFailed',
    },
    PhotoSettled: { Type: 'Succeed' },
    PhotoFailed: { Type: 'Fail', ErrorPath: '$.failure.Error', CausePath: '$.failure.Cause' },
  },
  reconcile: {
    'the machine': { StartAt: 'BeginReconciliation' },
    BeginReconciliation: {
      Type: 'Task',
      Resource: '<BeginReconciliationFunctionArn>',
      Parameters: {
        'input.$': '$',
        'execution_arn.$': '$$.Execution.Id',
        'machine_arn.$': '$$.StateMachine.Id',
        'started_at.$': '$$.Execution.StartTime',
      },
      Next: 'AnythingToCompare',
    },
    AnythingToCompare: {
      Type: 'Choice',
      Choices: [{ Variable: '$.next', StringEquals: 'list', Next: 'ListEvents' }],
      Default: 'NothingToCompare',
    },
    NothingToCompare: { Type: 'Succeed' },
    ListEvents: {
      Type: 'Task',
      Resource: '<ReadRowsFunctionArn>',
      Parameters: { step: 'events', 'input.$': '$' },
      Next: 'NextStep',
    },
    NextStep: {
      Type: 'Choice',
      Choices: [
        { Variable: '$.next', StringEquals: 'read', Next: 'ReadFaces' },
        { Variable: '$.next', StringEquals: 'ask', Next: 'AskOperator' },
        { Variable: '$.next', StringEquals: 'mend', Next: 'MendDisagreements' },
        { Variable: '$.next', StringEquals: 'collections', Next: 'RemoveAbandoned' },
      ],
      Default: 'Conclude',
    },
    ReadFaces: {
      Type: 'Task',
      Resource: '<ReadRowsFunctionArn>',
      Parameters: { step: 'faces', 'input.$': '$' },
      Next: 'SurveyEvents',
    },
    SurveyEvents: {
      Type: 'Task',
      Resource: '<SurveyEventsFunctionArn>',
      Parameters: { step: 'events', 'input.$': '$' },
      Next: 'ReadPhotos',
    },
    ReadPhotos: {
      Type: 'Task',
      Resource: '<ReadRowsFunctionArn>',
      Parameters: { step: 'rows', 'input.$': '$' },
      Next: 'CompareEvents',
    },
    CompareEvents: {
      Type: 'Task',
      Resource: '<MendDisagreementsFunctionArn>',
      Parameters: { step: 'compare', 'input.$': '$' },
      Next: 'NextStep',
    },
    AskOperator: {
      Type: 'Map',
      ItemsPath: '$.questions',
      MaxConcurrency: 1,
      ItemProcessor: { ProcessorConfig: { Mode: 'INLINE' }, StartAt: 'WriteRows' },
      ResultPath: null,
      Next: 'MendDisagreements',
    },
    WriteRows: { Type: 'Task', Resource: '<AnswerOperatorFunctionArn>', End: true },
    MendDisagreements: {
      Type: 'Task',
      Resource: '<MendDisagreementsFunctionArn>',
      Parameters: { step: 'mend', 'input.$': '$' },
      Next: 'NextStep',
    },
    RemoveAbandoned: {
      Type: 'Task',
      Resource: '<SurveyEventsFunctionArn>',
      Parameters: { step: 'collections', 'input.$': '$' },
      Next: 'Conclude',
    },
    Conclude: {
      Type: 'Task',
      Resource: '<MendDisagreementsFunctionArn>',
      Parameters: { step: 'conclude', 'input.$': '$' },
      End: true,
    },
  },
};

/** Comments, retries and timeouts left out; the states of a Map beside it. */
function sayingsOf(definition: Said): Record<string, Said> {
  const found: Record<string, Said> = {};
  const strip = (value: Json): Json => {
    if (Array.isArray(value)) {
      return value.map(strip);
    }
    if (value === null || typeof value !== 'object') {
      return value;
    }
    const { Comment, Retry, TimeoutSeconds, States, Catch, ...rest } = value;
    for (const [name, state] of Object.entries((States ?? {}) as Record<string, Said>)) {
      found[name] = strip(state) as Said;
    }
    return {
      ...Object.fromEntries(Object.entries(rest).map(([key, inner]) => [key, strip(inner)])),
      ...(Catch && {
        Catch: (Catch as Said[]).map(({ Next, ResultPath }) => ({ Next, ResultPath }) as Said),
      }),
    };
  };
  found['the machine'] = strip(definition) as Said;
  return found;
}

test.each(machines)('%s says what it has to, and nothing else', (machine) => {
  const file = path.join(import.meta.dirname, `../../state-machines/${machine}.asl.json`);
  expect(sayingsOf(JSON.parse(readFileSync(file, 'utf8').replaceAll(/\$\{(\w+)\}/g, '<$1>')))).toEqual(
    said[machine],
  );
});
