/** The Lambdas of the stack: with their bundles, their environment, and a gateway before each service that they call. */
import { startControlPlane } from '../control-plane.ts';
import type { Authority } from '../iam/authority.ts';
import { type Disturber, startGateway } from '../iam/gateway.ts';
import { principalOf } from '../iam/guard.ts';
import type { Service } from '../iam/requests.ts';
import { createLambdaRuntime, type LambdaFunction, type LambdaRuntime } from '../lambda-runtime.ts';
import { startServiceQuotas } from '../service-quotas.ts';
import type { Assembly } from '../synthesis.ts';
import type { ResolvedTemplate } from '../template.ts';
import { type Invoke, invokerOf, type Machines } from './calls.ts';
import type { Setup } from './setup.ts';

/** Lambda's own file of certificate authorities, RDS's among them. */
const LAMBDA_CERTIFICATES = '/var/runtime/ca-cert.pem';

/** Where the SDK of a function looks for a service. */
const VARIABLES: Record<Service, string> = {
  s3: 'AWS_ENDPOINT_URL_S3',
  sqs: 'AWS_ENDPOINT_URL_SQS',
  dynamodb: 'AWS_ENDPOINT_URL_DYNAMODB',
  rekognition: 'AWS_ENDPOINT_URL_REKOGNITION',
  'rds-data': 'AWS_ENDPOINT_URL_RDS_DATA',
  states: 'AWS_ENDPOINT_URL_SFN',
  lambda: 'AWS_ENDPOINT_URL_LAMBDA',
  secretsmanager: 'AWS_ENDPOINT_URL_SECRETS_MANAGER',
  servicequotas: 'AWS_ENDPOINT_URL_SERVICE_QUOTAS',
};

export interface FunctionsOptions {
  stack: ResolvedTemplate;
  assembly: Assembly;
  authority: Authority;
  /** What Step Functions is asked for through its API, and by Tasks that start executions. */
  machines: Machines;
  /** PEM file of the authority that signed the database's certificate. */
  certificateAuthority: string;
  /** Where the services are that do not depend on the functions. */
  endpoints: Omit<Record<Service, string>, 'states' | 'lambda' | 'servicequotas'>;
}

export interface Functions {
  /** By ARN. */
  byArn: ReadonlyMap<string, LambdaFunction>;
  invoke: Invoke;
  /** Starts environments for functions, one after the other: the machine has other things to do. */
  prepare(arns: readonly string[]): Promise<void>;
  /** Where the API of Step Functions and Lambda is. */
  controlEndpoint: string;
}

export async function startFunctions(setup: Setup, given: FunctionsOptions): Promise<Functions> {
  const { options, onStop } = setup;
  const { machines } = given;
  const timeScale = options.time?.lambdas ?? 1;
  const byArn = lambdaFunctions(given.stack, given.assembly, given.certificateAuthority, timeScale);
  const control = await startControlPlane({
    machines,
    invoke: (name, payload) => {
      const fn = [...byArn.values()].find((other) => other.name === name || other.arn === name);
      return fn && invoke(fn.arn, payload);
    },
  });
  onStop('services', control.stop);
  const quotas = await startServiceQuotas(() => options.appliedQuota?.());
  onStop('services', quotas.stop);
  const runtime = startRuntime(
    setup,
    await startGateways(setup, given.authority, {
      ...given.endpoints,
      states: control.endpoint,
      lambda: control.endpoint,
      servicequotas: quotas.endpoint,
    }),
  );
  const invoke = invokerOf(machines, byArn, runtime, options.between ?? {});
  return {
    byArn,
    invoke,
    async prepare(arns) {
      for (const arn of arns) {
        await runtime.prepare(byArn.get(arn)!);
      }
    },
    controlEndpoint: control.endpoint,
  };
}

function startRuntime(
  { options, inState, onStop }: Setup,
  environment: Record<string, string>,
): LambdaRuntime {
  const runtime = createLambdaRuntime({
    logs: inState('logs'),
    environment,
    isPatient: (options.time?.lambdas ?? 1) < 1,
    onOutput: options.onLambdaOutput,
    onInvocation: options.onInvocation,
    ...(options.lambdaConcurrency !== undefined && { concurrency: options.lambdaConcurrency }),
  });
  onStop('functions', (abort) => runtime.stop({ abort }));
  return runtime;
}

/** @returns the functions' environment, with the addresses of the gateways */
async function startGateways(
  { options, onStop }: Setup,
  authority: Authority,
  endpoints: Record<Service, string>,
): Promise<Record<string, string>> {
  const disturbers: Partial<Record<Service, Disturber>> = options.between?.services ?? {};
  const environment: Record<string, string> = {};
  for (const service of Object.keys(VARIABLES) as Service[]) {
    const gateway = await startGateway({
      service,
      target: endpoints[service],
      authority,
      principalOf,
      disturber: disturbers[service],
    });
    onStop('gateways', gateway.stop);
    environment[VARIABLES[service]] = gateway.endpoint;
  }
  return environment;
}

/** By ARN. */
function lambdaFunctions(
  stack: ResolvedTemplate,
  assembly: Assembly,
  certificateAuthority: string,
  timeScale: number,
): Map<string, LambdaFunction> {
  const functions = new Map<string, LambdaFunction>();
  for (const { local, get } of stack.resources('AWS::Lambda::Function')) {
    const key = get<{ S3Key?: string }>('Code')?.S3Key;
    if (key === undefined) {
      // Inline, as a custom resource of the CDK has it: what those do, the local run reads out of their properties.
      continue;
    }
    const variables = Object.entries(get<{ Variables?: object }>('Environment')?.Variables ?? {});
    const environment = Object.fromEntries(
      variables.map(([name, value]) => [
        name,
        value === LAMBDA_CERTIFICATES ? certificateAuthority : String(value),
      ]),
    );
    const arn = local.attributes.Arn as string;
    functions.set(arn, {
      name: local.ref,
      arn,
      code: assembly.assetPath(key),
      handler: get('Handler')!,
      environment,
      timeoutSeconds: scaledTimeout(get<number>('Timeout') ?? 3, timeScale),
      memoryMegabytes: get('MemorySize') ?? 128,
    });
  }
  return functions;
}

/** A function's time in seconds; when it is shortened, a cold start on a busy machine still fits into it. */
function scaledTimeout(seconds: number, scale: number): number {
  return scale < 1 ? Math.max(3, seconds * scale) : seconds * scale;
}
