import { cpSync } from 'node:fs';
import path from 'node:path';
import { AssetHashType, DockerImage, type Duration } from 'aws-cdk-lib';
import type { ISecurityGroup, IVpc, SubnetSelection } from 'aws-cdk-lib/aws-ec2';
import { Effect, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Architecture, Code, Function as LambdaFunction, Runtime, Tracing } from 'aws-cdk-lib/aws-lambda';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import { environmentNames, SERVICE_NAME } from '../../lambdas/shared/contract/names.ts';
import { DEFAULT_EVENTS_FOLDER } from '../../lambdas/shared/contract/photo-key.ts';
import type { RollcallConfig } from '../config/config.ts';
import { removalPolicy } from '../config/removal.ts';
import { metricsNamespace } from '../observability/metrics.ts';
import { acknowledge } from './acknowledge.ts';
import { bundleSource, PROJECT_ROOT, writeBundle } from './bundle.ts';

/**
 * A third of a vCPU loads the half megabyte of code in about 0.2 s; the functions use some 100 MB. They are done in tens
 * of milliseconds, so half of it would save next to nothing and double every cold start. Those that wait for every photo have
 * less: `lib/indexing/photo-indexing.ts`.
 */
const DEFAULT_MEMORY_MEGABYTES = 512;

/** Where a function runs when it does not run in Lambda's own network. */
export interface FunctionNetwork {
  readonly vpc: IVpc;
  readonly vpcSubnets: SubnetSelection;
  readonly securityGroups: ISecurityGroup[];
}

export interface PipelineFunctionProps {
  readonly config: RollcallConfig;
  /** Folder in `lambdas/`, named as the state that calls it; its `handler.ts` exports `handler`. */
  readonly name: string;
  readonly description: string;
  readonly timeout: Duration;
  /** Megabytes, and with them its share of a CPU. Default: 512. */
  readonly memorySize?: number;
  readonly environment: Record<string, string>;
  readonly network?: FunctionNetwork | undefined;
  /** Files or folders, from the project's root, that are copied beside the bundle under their own last names. */
  readonly assets?: readonly string[];
  readonly reservedConcurrentExecutions?: number | undefined;
}

/**
 * A Lambda with its own log group and its own role, which starts with the right to write that log and nothing else.
 */
export class PipelineFunction extends LambdaFunction {
  constructor(scope: Construct, id: string, props: PipelineFunctionProps) {
    const { config, name, network, assets = [], reservedConcurrentExecutions: reserved } = props;
    const logGroup = new LogGroup(scope, `${id}Logs`, {
      retention: config.logRetentionDays,
      removalPolicy: removalPolicy(config),
    });
    const role = new Role(scope, `${id}Role`, { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
    logGroup.grantWrite(role);
    if (network) {
      attachToNetwork(role);
    }
    super(scope, id, {
      code: bundledCode(name, assets),
      handler: 'index.handler',
      description: props.description,
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      memorySize: props.memorySize ?? DEFAULT_MEMORY_MEGABYTES,
      timeout: props.timeout,
      ...(reserved !== undefined && { reservedConcurrentExecutions: reserved }),
      tracing: config.tracing ? Tracing.ACTIVE : Tracing.DISABLED,
      logGroup,
      role,
      ...network,
      environment: {
        POWERTOOLS_SERVICE_NAME: SERVICE_NAME,
        POWERTOOLS_METRICS_NAMESPACE: metricsNamespace(scope),
        LOG_LEVEL: config.logLevel,
        ...(config.eventsFolder !== DEFAULT_EVENTS_FOLDER && {
          [environmentNames.eventsFolder]: config.eventsFolder,
        }),
        ...props.environment,
      },
    });

    acknowledge(
      this,
      'Step Functions, or the deployment, calls the function and waits for its answer: no event is lost that a queue could keep',
      'Serverless-LambdaDLQ',
      'Serverless-LambdaAsyncFailureDestination',
    );
    if (config.tracing) {
      acknowledge(
        role,
        'X-Ray knows no resource: https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html',
        'AwsSolutions-IAM5[Resource::*]',
      );
    } else {
      acknowledge(this, 'An option, off by default for its price', 'Serverless-LambdaTracing');
    }
  }
}

/**
 * The handler with everything it imports, in one ES module. Bundled inside this process: NodejsFunction would start npx
 * and esbuild anew for every function, which takes ten times as long.
 */
function bundledCode(name: string, assets: readonly string[]): Code {
  return Code.fromAsset(bundleSource(name), {
    assetHashType: AssetHashType.OUTPUT,
    bundling: {
      // CDK asks for an image to fall back on; the local bundling never fails without an error.
      image: DockerImage.fromRegistry('scratch'),
      local: {
        tryBundle(outputDir) {
          writeBundle(name, outputDir);
          for (const asset of assets) {
            const target = path.join(outputDir, path.basename(asset));
            cpSync(path.resolve(PROJECT_ROOT, asset), target, { recursive: true });
          }
          return true;
        },
      },
    },
  });
}

/**
 * What Lambda itself needs to put a function into a VPC, and what the function's own code may not do with it.
 * https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
 */
function attachToNetwork(role: Role): void {
  const actions = [
    'ec2:CreateNetworkInterface',
    'ec2:DescribeNetworkInterfaces',
    'ec2:DescribeSubnets',
    'ec2:DeleteNetworkInterface',
    'ec2:AssignPrivateIpAddresses',
    'ec2:UnassignPrivateIpAddresses',
  ];
  role.addToPolicy(new PolicyStatement({ actions, resources: ['*'] }));
  role.addToPolicy(
    new PolicyStatement({
      effect: Effect.DENY,
      actions,
      resources: ['*'],
      conditions: { Null: { 'lambda:SourceFunctionArn': 'false' } },
    }),
  );
  acknowledge(
    role,
    "Lambda's network interfaces have no ARN before they exist; a second statement denies all of it to the function's own code",
    'AwsSolutions-IAM5[Resource::*]',
  );
}
