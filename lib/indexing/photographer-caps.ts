import type { ITable } from 'aws-cdk-lib/aws-dynamodb';
import { Construct } from 'constructs';
import { environmentNames } from '../../lambdas/shared/contract/names.ts';
import type { RollcallConfig } from '../config/config.ts';
import { allow } from '../parts/grants.ts';
import type { PipelineFunction } from '../parts/pipeline-function.ts';
import { PhotographersTable } from '../storage/tables.ts';

interface PhotographerCapsProps {
  readonly config: RollcallConfig;
  readonly imagesPerDay: number;
}

/** How many images each photographer may have indexed in a day: the table that counts them, and what its users need. */
export class PhotographerCaps extends Construct {
  readonly table: ITable;
  /** Of the functions of the line, which count. */
  readonly counterEnvironment: Readonly<Record<string, string>>;
  /** Of a function that says whose an event is. */
  readonly tellerEnvironment: Readonly<Record<string, string>>;

  constructor(scope: Construct, id: string, { config, imagesPerDay }: PhotographerCapsProps) {
    super(scope, id);
    this.table = new PhotographersTable(this, 'Table', { config }) as ITable;
    this.tellerEnvironment = { [environmentNames.photographersTable]: this.table.tableName };
    this.counterEnvironment = {
      ...this.tellerEnvironment,
      [environmentNames.dailyImagesPerPhotographer]: String(imagesPerDay),
    };
  }

  allowLooking(fn: PipelineFunction): void {
    allow(fn, ['dynamodb:GetItem'], this.table.tableArn);
  }

  allowCounting(fn: PipelineFunction): void {
    allow(fn, ['dynamodb:GetItem', 'dynamodb:UpdateItem'], this.table.tableArn);
  }
}
