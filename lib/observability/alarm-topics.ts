import { RemovalPolicy, Stack } from 'aws-cdk-lib';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { type ITopic, Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { Construct } from 'constructs';
import type { RollcallConfig } from '../config/config.ts';
import { acknowledge } from '../parts/acknowledge.ts';
import { deploymentName } from '../parts/deployment-name.ts';

/** `critical`: photos are lost, stuck or too expensive, now. `warning`: worth a look in working hours. */
export type Severity = 'critical' | 'warning';

interface AlarmTopicsProps {
  readonly config: RollcallConfig;
  /** Yours, which let CloudWatch publish; none are made then. */
  readonly topics?: Readonly<Record<Severity, ITopic>> | undefined;
}

/** Where alarms go: one topic for each severity, to which people, pagers and chats subscribe. */
export class AlarmTopics extends Construct implements Readonly<Record<Severity, ITopic>> {
  readonly critical: ITopic;
  readonly warning: ITopic;

  constructor(scope: Construct, id: string, { config, topics }: AlarmTopicsProps) {
    super(scope, id);
    if (topics) {
      this.critical = topics.critical;
      this.warning = topics.warning;
      return;
    }
    // CloudWatch and Budgets may not use the key that AWS keeps for SNS.
    const key = new Key(this, 'Key', {
      description: "Encrypts Rollcall's alarms on their way through SNS",
      enableKeyRotation: true,
      // Nothing that it encrypts outlives a minute.
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const senders = {
      principals: ['cloudwatch', 'budgets'].map((name) => new ServicePrincipal(`${name}.amazonaws.com`)),
      conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } },
    };
    key.addToResourcePolicy(
      new PolicyStatement({ ...senders, actions: ['kms:Decrypt', 'kms:GenerateDataKey*'], resources: ['*'] }),
    );

    const name = deploymentName(this);
    const topic = (topicId: string, displayName: string, emails: readonly string[]) => {
      const made = new Topic(this, topicId, { displayName, masterKey: key, enforceSSL: true });
      made.addToResourcePolicy(
        new PolicyStatement({ ...senders, actions: ['sns:Publish'], resources: [made.topicArn] }),
      );
      for (const email of emails) {
        acknowledge(
          made.addSubscription(new EmailSubscription(email)),
          'An alarm that could not be mailed stands in the console and on the dashboard; in a queue nobody would look for it',
          'Serverless-SNSRedrivePolicy',
        );
      }
      return made;
    };
    this.critical = topic('Critical', `${name}: critical alarms`, config.criticalEmails);
    this.warning = topic('Warning', `${name}: warnings`, config.warningEmails);
  }
}
