import { Duration } from 'aws-cdk-lib';
import { Trigger } from 'aws-cdk-lib/triggers';
import { Construct } from 'constructs';
import type { RollcallConfig } from '../config/config.ts';
import type { PipelineFunction } from '../parts/pipeline-function.ts';
import { DatabaseFunction } from './database-function.ts';
import type { FaceDatabase } from './face-database.ts';

interface SchemaProps {
  readonly config: RollcallConfig;
  readonly database: FaceDatabase;
}

/** The tables, brought up to date by every deployment that changes the migrations. */
export class Schema extends Construct {
  private readonly migration: Trigger;

  constructor(scope: Construct, id: string, { config, database }: SchemaProps) {
    super(scope, id);
    const migrate = new DatabaseFunction(this, 'MigrateDatabase', {
      config,
      database,
      user: 'rollcall_migrator',
      name: 'migrate-database',
      description: 'Applies the migrations that the database has not seen',
      timeout: Duration.minutes(5),
      assets: ['migrations'],
    });
    // The bundle holds the migrations, so another migration is another version of the function: that runs it again.
    this.migration = new Trigger(this, 'Migration', {
      handler: migrate,
      timeout: Duration.minutes(6),
      executeAfter: database.ready,
    });
  }

  /** New code may need the new schema, and a failed migration must leave the old code running: it goes first. */
  goesBefore(...functions: PipelineFunction[]): void {
    this.migration.executeBefore(...functions);
  }
}
