import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { environmentNames } from '../lambdas/shared/names.ts';
import { type FaceDatabase, RDS_CERTIFICATES } from './face-database.ts';
import type { PipelineFunction } from './pipeline-function.ts';

/** A PostgreSQL that this stack did not build, known by the URL in a secret. */
export class ExternalDatabase implements FaceDatabase {
  readonly network = undefined;
  readonly ready = [];
  readonly outputs;
  private readonly secretArn: string;

  /** @param secretArn complete ARN of the secret whose string is `postgresql://user:password@host:port/database` */
  constructor(secretArn: string) {
    this.secretArn = secretArn;
    this.outputs = { DatabaseSecretArn: { value: secretArn, description: "Secret with the database's URL" } };
  }

  environment(): Record<string, string> {
    return {
      [environmentNames.databaseAuth]: 'secret',
      [environmentNames.databaseSecretArn]: this.secretArn,
      ...RDS_CERTIFICATES,
    };
  }

  grantLogin(fn: PipelineFunction): void {
    fn.addToRolePolicy(
      new PolicyStatement({ actions: ['secretsmanager:GetSecretValue'], resources: [this.secretArn] }),
    );
  }
}
