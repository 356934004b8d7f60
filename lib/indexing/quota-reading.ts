import { Duration, Stack } from 'aws-cdk-lib';
import type { ITable } from 'aws-cdk-lib/aws-dynamodb';
import { Rule, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { InvocationType, Trigger } from 'aws-cdk-lib/triggers';
import { Construct } from 'constructs';
import { environmentNames, rekognitionQuotas } from '../../lambdas/shared/contract/names.ts';
import type { RollcallConfig } from '../config/config.ts';
import { acknowledge } from '../parts/acknowledge.ts';
import { allow } from '../parts/grants.ts';
import { PipelineFunction } from '../parts/pipeline-function.ts';

/** To ask Service Quotas for the account's quota of IndexFaces. */
export function allowReadingQuota(reader: PipelineFunction): void {
  const { serviceCode: resource, indexFaces: resourceName } = rekognitionQuotas;
  const quota = Stack.of(reader).formatArn({ service: 'servicequotas', resource, resourceName });
  reader.addToRolePolicy(
    new PolicyStatement({ actions: ['servicequotas:GetServiceQuota'], resources: [quota] }),
  );
}

interface QuotaReadingProps {
  readonly config: RollcallConfig;
  readonly slotLedger: ITable;
}

/** Reads the account's IndexFaces quota into the slot ledger: with the deployment, and once a day, when no photo may come. */
export class QuotaReading extends Construct {
  constructor(scope: Construct, id: string, { config, slotLedger }: QuotaReadingProps) {
    super(scope, id);
    const readQuota = new PipelineFunction(this, 'ReadQuota', {
      config,
      name: 'read-quota',
      description: "Reads the account's IndexFaces quota and tells the slot ledger",
      timeout: Duration.seconds(30),
      environment: { [environmentNames.ledgerTable]: slotLedger.tableName },
    });
    allow(readQuota, ['dynamodb:GetItem', 'dynamodb:UpdateItem'], slotLedger.tableArn);
    allowReadingQuota(readQuota);
    new Trigger(this, 'AtDeployment', {
      handler: readQuota,
      // Not waited for: without an answer there is the default of the Region.
      invocationType: InvocationType.EVENT,
    });
    const daily = new Rule(this, 'Daily', {
      description: "Read the account's IndexFaces quota",
      schedule: Schedule.cron({ hour: '3', minute: '15' }),
      targets: [new LambdaFunction(readQuota, { retryAttempts: 2, maxEventAge: Duration.hours(1) })],
    });
    acknowledge(daily, 'What cannot be read today is read tomorrow', 'Serverless-EventBusDLQ');
  }
}
