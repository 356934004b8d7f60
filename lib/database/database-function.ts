import type { Construct } from 'constructs';
import { PipelineFunction, type PipelineFunctionProps } from '../parts/pipeline-function.ts';
import type { DatabaseUser, FaceDatabase } from './face-database.ts';

interface DatabaseFunctionProps extends Omit<PipelineFunctionProps, 'environment'> {
  readonly database: FaceDatabase;
  /** Default: rollcall_pipeline. */
  readonly user?: DatabaseUser;
  /** Beside what the database wants its clients to know. */
  readonly environment?: Record<string, string>;
}

/** A Lambda that logs in to the database: in its network, unless another is given, with what a client of it needs. */
export class DatabaseFunction extends PipelineFunction {
  constructor(
    scope: Construct,
    id: string,
    { database, user = 'rollcall_pipeline', environment, assets = [], ...props }: DatabaseFunctionProps,
  ) {
    super(scope, id, {
      network: database.network,
      ...props,
      environment: { ...environment, ...database.environment(user) },
      assets: [...assets, ...database.assets],
    });
    database.grantLogin(this, user);
  }
}
