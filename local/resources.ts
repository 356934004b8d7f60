import {
  ACCOUNT,
  type LocalResource,
  type LocalResources,
  REGION,
  type Template,
  type TemplateResource,
} from './template.ts';

export interface LocalEndpoints {
  queueUrl(name: string): string;
  database: { host: string; port: number };
  /** Where the HTTP API is. */
  httpApi: string;
}

/** What the resources of the template are here: names made of their logical ids, ARNs of the local account, endpoints. */
export function localResources(
  stackName: string,
  template: Template,
  endpoints: LocalEndpoints,
): LocalResources {
  const arn = (service: string, resource: string) => `arn:aws:${service}:${REGION}:${ACCOUNT}:${resource}`;
  const name = (logicalId: string, longest: number) =>
    `${stackName}-${logicalId.slice(-(longest - stackName.length - 1))}`;

  const byType: Record<string, (logicalId: string, resource: TemplateResource) => LocalResource> = {
    'AWS::S3::Bucket': (logicalId) => {
      const ref = name(logicalId, 63).toLowerCase();
      return { ref, attributes: { Arn: `arn:aws:s3:::${ref}` } };
    },
    'AWS::DynamoDB::Table': (logicalId) => {
      const ref = name(logicalId, 255);
      return { ref, attributes: { Arn: arn('dynamodb', `table/${ref}`) } };
    },
    'AWS::SQS::Queue': (logicalId) => {
      const queue = name(logicalId, 80);
      const url = endpoints.queueUrl(queue);
      return { ref: url, attributes: { Arn: arn('sqs', queue), QueueName: queue, QueueUrl: url } };
    },
    'AWS::Lambda::Function': (logicalId) => {
      const ref = name(logicalId, 64);
      return { ref, attributes: { Arn: arn('lambda', `function:${ref}`) } };
    },
    'AWS::Lambda::Version': (_, { Properties }) => {
      const { Ref: functionId } = Properties!.FunctionName as { Ref: string };
      const functionArn = of(functionId).attributes.Arn;
      return { ref: `${functionArn}:1`, attributes: { Version: '1', FunctionArn: `${functionArn}:1` } };
    },
    'AWS::StepFunctions::StateMachine': (logicalId) => {
      const machine = name(logicalId, 80);
      const ref = arn('states', `stateMachine:${machine}`);
      return { ref, attributes: { Arn: ref, Name: machine } };
    },
    'AWS::SNS::Topic': (logicalId) => {
      const topic = name(logicalId, 256);
      const ref = arn('sns', topic);
      return { ref, attributes: { TopicArn: ref, TopicName: topic } };
    },
    'AWS::Events::Rule': (logicalId) => {
      const ref = name(logicalId, 64);
      return { ref, attributes: { Arn: arn('events', `rule/${ref}`) } };
    },
    'AWS::Logs::LogGroup': (logicalId) => {
      const ref = name(logicalId, 512);
      return { ref, attributes: { Arn: `${arn('logs', `log-group:${ref}`)}:*` } };
    },
    'AWS::IAM::Role': (logicalId) => {
      const ref = name(logicalId, 64);
      return { ref, attributes: { Arn: `arn:aws:iam::${ACCOUNT}:role/${ref}` } };
    },
    'AWS::ApiGatewayV2::Api': (logicalId) => {
      const ref = name(logicalId, 63);
      return { ref, attributes: { ApiId: ref, ApiEndpoint: endpoints.httpApi } };
    },
    'AWS::EC2::SecurityGroup': (logicalId) => {
      const ref = `sg-${name(logicalId, 60)}`;
      return { ref, attributes: { GroupId: ref } };
    },
    'AWS::SecretsManager::Secret': (logicalId) => {
      const ref = arn('secretsmanager', `secret:${name(logicalId, 500)}-LOCALx`);
      return { ref, attributes: { Id: ref } };
    },
    'AWS::SecretsManager::SecretTargetAttachment': (_, { Properties }) => {
      const { Ref: secretId } = Properties!.SecretId as { Ref: string };
      return of(secretId);
    },
    'AWS::RDS::DBInstance': (logicalId) => {
      const { ref, attributes } = databaseServer(logicalId);
      return {
        ref,
        attributes: {
          ...attributes,
          DBInstanceArn: arn('rds', `db:${ref}`),
          DbiResourceId: 'db-LOCAL',
        },
      };
    },
    'AWS::RDS::DBCluster': (logicalId) => {
      const { ref, attributes } = databaseServer(logicalId);
      return {
        ref,
        attributes: {
          ...attributes,
          'ReadEndpoint.Address': endpoints.database.host,
          DBClusterArn: arn('rds', `cluster:${ref}`),
          DBClusterResourceId: 'cluster-LOCAL',
          'MasterUserSecret.SecretArn': arn('secretsmanager', `secret:rds!${ref}`),
        },
      };
    },
  };

  /** What an instance and a cluster have in common. */
  function databaseServer(logicalId: string): LocalResource {
    const { host, port } = endpoints.database;
    return {
      ref: name(logicalId, 63).toLowerCase(),
      attributes: { 'Endpoint.Address': host, 'Endpoint.Port': String(port) },
    };
  }

  function of(logicalId: string): LocalResource {
    const resource = template.Resources[logicalId]!;
    const make = byType[resource.Type];
    return make ? make(logicalId, resource) : { ref: name(logicalId, 63), attributes: {} };
  }

  return of;
}
