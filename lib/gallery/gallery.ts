import { Duration, Stack } from 'aws-cdk-lib';
import { AccessLogFormat } from 'aws-cdk-lib/aws-apigateway';
import {
  HttpApi,
  HttpMethod,
  HttpStage,
  type IHttpApi,
  type IHttpRouteAuthorizer,
  LogGroupLogDestination,
} from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpIamAuthorizer } from 'aws-cdk-lib/aws-apigatewayv2-authorizers';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import type { ITable } from 'aws-cdk-lib/aws-dynamodb';
import { Grant, type IGrantable } from 'aws-cdk-lib/aws-iam';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { galleryRoutes } from '../../lambdas/shared/contract/gallery.ts';
import { environmentNames } from '../../lambdas/shared/contract/names.ts';
import { searchRoutes } from '../../lambdas/shared/contract/search.ts';
import { ConfigurationError, type RollcallConfig } from '../config/config.ts';
import { removalPolicy } from '../config/removal.ts';
import { DatabaseFunction } from '../database/database-function.ts';
import type { FaceDatabase } from '../database/face-database.ts';
import { acknowledge, objectsFinding } from '../parts/acknowledge.ts';
import { deploymentName } from '../parts/deployment-name.ts';
import { allow } from '../parts/grants.ts';
import type { FunctionNetwork, PipelineFunction } from '../parts/pipeline-function.ts';

/**
 * As long as API Gateway waits for an answer, which is long enough for a database that has slept for a day.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
 */
const ANSWER_WITHIN = Duration.seconds(29);

/** Requests a second, and at once: what a database of the smallest size answers without making photos wait. */
const THROTTLE = { rateLimit: 50, burstLimit: 100 };

interface GalleryProps {
  readonly config: RollcallConfig;
  readonly photoBucket: IBucket;
  readonly slotLedger: ITable;
  readonly database: FaceDatabase;
  /** Where database and slot ledger can be reached; undefined is Lambda's own network. */
  readonly network: FunctionNetwork | undefined;
  /** The pace and the daily cap, as environment variables. */
  readonly pace: Readonly<Record<string, string>>;
  /** Answers who is on which photos. */
  readonly findPerson: PipelineFunction;
  /** Who may call it. Default: whom IAM allows `execute-api:Invoke`. */
  readonly authorizer?: IHttpRouteAuthorizer;
}

/**
 * The HTTP API of what happened to events and photos and of who is on them, and the function that reads the former from the
 * views of the database.
 */
export class Gallery extends Construct {
  readonly api: IHttpApi;
  readonly readGallery: PipelineFunction;
  /** Whether `execute-api:Invoke` decides who may ask. */
  private readonly asksIam: boolean;

  constructor(scope: Construct, id: string, props: GalleryProps) {
    super(scope, id);
    const { config, photoBucket, slotLedger, database, network, pace, findPerson } = props;
    this.asksIam = props.authorizer === undefined;
    this.readGallery = new DatabaseFunction(this, 'ReadGallery', {
      config,
      database,
      user: 'rollcall_gallery',
      name: 'read-gallery',
      description: 'Says what happened to an event and its photos',
      timeout: ANSWER_WITHIN,
      environment: {
        [environmentNames.ledgerTable]: slotLedger.tableName,
        ...pace,
        [environmentNames.photoBucket]: photoBucket.bucketName,
      },
      network,
    });
    allow(this.readGallery, ['dynamodb:GetItem'], slotLedger.tableArn);
    // For the addresses that it signs: from inside the network the function itself reaches no photo.
    allow(this.readGallery, ['s3:GetObject'], photoBucket.arnForObjects(`${config.eventsFolder}*`));
    if (config.photoBucketKeyArn !== undefined) {
      allow(this.readGallery, ['kms:Decrypt'], config.photoBucketKeyArn);
    }
    acknowledge(
      this.readGallery.role!,
      'One object a photo: only the folder that it lies in is known beforehand',
      objectsFinding(photoBucket, `${config.eventsFolder}*`),
    );

    const api = new HttpApi(this, 'Api', {
      apiName: `${deploymentName(this)}-gallery`,
      description: 'Rollcall: what happened to events and photos, and who is on them',
      createDefaultStage: false,
      defaultAuthorizer: props.authorizer ?? new HttpIamAuthorizer(),
    });
    this.api = api as IHttpApi;
    const accessLogs = new LogGroup(this, 'AccessLogs', {
      retention: config.logRetentionDays,
      removalPolicy: removalPolicy(config),
    });
    new HttpStage(this, 'Stage', {
      httpApi: this.api,
      stageName: '$default',
      autoDeploy: true,
      throttle: THROTTLE,
      accessLogSettings: {
        destination: new LogGroupLogDestination(accessLogs),
        // Who asked for what, and nothing of where they are.
        format: AccessLogFormat.custom(
          JSON.stringify({
            request_id: '$context.requestId',
            caller: '$context.identity.userArn',
            route: '$context.routeKey',
            status: '$context.status',
            latency_ms: '$context.responseLatency',
            error: '$context.error.message',
          }),
        ),
      },
    });
    const behind = (name: string, fn: PipelineFunction) =>
      new HttpLambdaIntegration(name, fn, { timeout: ANSWER_WITHIN });
    const reading = behind('ReadGallery', this.readGallery);
    for (const path of Object.values(galleryRoutes)) {
      api.addRoutes({ path, methods: [HttpMethod.GET], integration: reading });
    }
    const finding = behind('FindPerson', findPerson);
    for (const path of Object.values(searchRoutes)) {
      api.addRoutes({ path, methods: [HttpMethod.POST], integration: finding });
    }
  }

  /** Lets somebody read what happened to every event. */
  grantRead(grantee: IGrantable): Grant {
    return this.grant(grantee, HttpMethod.GET, [`${EVENTS}/*`]);
  }

  /** Lets somebody find people in every event, and read nothing else. */
  grantFind(grantee: IGrantable): Grant {
    return this.grant(grantee, HttpMethod.POST, [`${EVENTS}/*/find`]);
  }

  /** In a resource of IAM `*` stands for slashes, too. */
  private grant(grantee: IGrantable, method: HttpMethod, paths: string[]): Grant {
    if (!this.asksIam) {
      throw new ConfigurationError(
        'The apiAuthorizer decides who may ask the API: there is nothing that IAM could grant',
      );
    }
    return Grant.addToPrincipal({
      grantee,
      actions: ['execute-api:Invoke'],
      resourceArns: paths.map((path) =>
        Stack.of(this).formatArn({
          service: 'execute-api',
          resource: this.api.apiId,
          resourceName: `$default/${method}${path}`,
        }),
      ),
    });
  }
}

const EVENTS = '/events';
