import { Construct } from 'constructs';
import type { RollcallConfig } from '../config/config.ts';
import { DatabaseFunction } from '../database/database-function.ts';
import { DATABASE_CLIENT_TIMEOUT, type FaceDatabase } from '../database/face-database.ts';
import type { PipelineFunction } from '../parts/pipeline-function.ts';

interface OperationsProps {
  readonly config: RollcallConfig;
  readonly database: FaceDatabase;
}

/**
 * What the operator's commands (`npm run ops`) need of the stack beside its parts: somebody who answers from inside the
 * database's network. Whoever may invoke it may read what is stored about photos, and have stray faces removed.
 */
export class Operations extends Construct {
  readonly answerOperator: PipelineFunction;

  constructor(scope: Construct, id: string, { config, database }: OperationsProps) {
    super(scope, id);
    this.answerOperator = new DatabaseFunction(this, 'AnswerOperator', {
      config,
      database,
      name: 'answer-operator',
      description: "Answers the operator's commands from the database",
      timeout: DATABASE_CLIENT_TIMEOUT,
    });
  }
}
