import { Duration } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { FunctionNetwork, PipelineFunction } from '../parts/pipeline-function.ts';

/**
 * Long enough for a database that has slept for more than a day (45 s to connect) and one statement (20 s), so that both end
 * with an error of their own. Less than the states' TimeoutSeconds, 120.
 */
export const DATABASE_CLIENT_TIMEOUT = Duration.seconds(90);

/** The database users that `migrations/bootstrap.sql` creates. */
export type DatabaseUser = 'rollcall_pipeline' | 'rollcall_migrator' | 'rollcall_gallery';

/**
 * Postgres as a function sees it: where it has to run, what it has to know, and the right to log in.
 *
 * Whoever gets this right never gets one on Rekognition, and the other way round.
 */
export interface FaceDatabase {
  /** Where its clients run; undefined is Lambda's own network. */
  readonly network: FunctionNetwork | undefined;
  /** What has to be there before the migrations can run. */
  readonly ready: Construct[];
  /** For the operator, by the name of the stack's output. */
  readonly outputs: Readonly<Record<string, { value: string; description: string }>>;
  /** Files from the project's root that its clients need beside their code. */
  readonly assets: readonly string[];
  environment(user: DatabaseUser): Record<string, string>;
  grantLogin(fn: PipelineFunction, user: DatabaseUser): void;
}

/**
 * The runtime keeps RDS's certificate authorities in this file, and reads it only when told to.
 * https://docs.aws.amazon.com/lambda/latest/dg/lambda-nodejs.html (CA certificate loading)
 */
export const RDS_CERTIFICATES = { NODE_EXTRA_CA_CERTS: '/var/runtime/ca-cert.pem' };
