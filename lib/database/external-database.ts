import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { environmentNames } from '../../lambdas/shared/contract/names.ts';
import { ConfigurationError, type RollcallConfig } from '../config/config.ts';
import { PROJECT_ROOT } from '../parts/bundle.ts';
import { allow } from '../parts/grants.ts';
import type { PipelineFunction } from '../parts/pipeline-function.ts';
import { type FaceDatabase, RDS_CERTIFICATES } from './face-database.ts';

/** A PostgreSQL that this stack did not build, known by the URL in a secret. */
export class ExternalDatabase implements FaceDatabase {
  readonly network = undefined;
  readonly ready = [];
  readonly outputs;
  readonly assets: readonly string[];
  private readonly secretArn: string;
  private readonly schema: string;

  /**
   * @param secretArn complete ARN of the secret whose string is `postgresql://user:password@host:port/database`
   * @throws ConfigurationError when `databaseCaCertificate` has no certificate of an authority
   */
  constructor(
    secretArn: string,
    {
      databaseSchema,
      databaseCaCertificate: authority,
    }: Pick<RollcallConfig, 'databaseSchema' | 'databaseCaCertificate'>,
  ) {
    this.secretArn = secretArn;
    this.schema = databaseSchema;
    if (authority !== undefined) {
      checkCertificates(authority);
    }
    this.assets = authority === undefined ? [] : [authority];
    this.outputs = { DatabaseSecretArn: { value: secretArn, description: "Secret with the database's URL" } };
  }

  environment(): Record<string, string> {
    return {
      [environmentNames.databaseAuth]: 'secret',
      [environmentNames.databaseSecretArn]: this.secretArn,
      [environmentNames.databaseSchema]: this.schema,
      ...this.certificates(),
    };
  }

  grantLogin(fn: PipelineFunction): void {
    allow(fn, ['secretsmanager:GetSecretValue'], this.secretArn);
  }

  private certificates(): Record<string, string> {
    const [authority] = this.assets;
    return authority === undefined
      ? RDS_CERTIFICATES
      : { [environmentNames.databaseCaFile]: path.basename(authority) };
  }
}

function checkCertificates(file: string): void {
  let text: string;
  try {
    text = readFileSync(path.resolve(PROJECT_ROOT, file), 'utf8');
  } catch {
    throw new ConfigurationError(`databaseCaCertificate is ${JSON.stringify(file)}, which cannot be read`);
  }
  const blocks = text.match(/-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs) ?? [];
  if (blocks.length === 0 || !blocks.every(isAuthority)) {
    throw new ConfigurationError(
      `databaseCaCertificate is ${JSON.stringify(file)}; allowed is a file of certificates of authorities in PEM, as "-----BEGIN CERTIFICATE-----"`,
    );
  }
}

function isAuthority(pem: string): boolean {
  try {
    return new X509Certificate(pem).ca;
  } catch {
    return false;
  }
}
