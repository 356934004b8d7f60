import { type CfnElement, Stack, Validations } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

/** Accepts findings of the rule packs on one construct, all for the same reason. */
export function acknowledge(scope: IConstruct, reason: string, ...ids: string[]): void {
  Validations.of(scope).acknowledge(...ids.map((id) => ({ id, reason })));
}

/** The finding for a role that may use the objects of a bucket that match a pattern. */
export function objectsFinding(bucket: IConstruct & { readonly bucketArn: string }, pattern: string): string {
  const element = bucket.node.defaultChild as CfnElement | undefined;
  if (!element) {
    // Made elsewhere: its ARN is what the app says.
    return `AwsSolutions-IAM5[Resource::${bucket.bucketArn}/${pattern}]`;
  }
  const logicalId = Stack.of(bucket).getLogicalId(element);
  return `AwsSolutions-IAM5[Resource::<${logicalId}.Arn>/${pattern}]`;
}
