import { Annotations, Aws, CfnCondition, Fn, Stack } from 'aws-cdk-lib';
import type { Construct } from 'constructs';

/** https://docs.aws.amazon.com/general/latest/gr/rekognition.html: transactions per second of IndexFaces, by default. */
const FAST_REGIONS = new Set(['us-east-1', 'us-west-2', 'eu-west-1']);
const FAST = 50;
const SLOW = 5;

function regionQuota(region: string): number {
  return FAST_REGIONS.has(region) ? FAST : SLOW;
}

/**
 * The pace as the value of an environment variable: what is configured, else the default quota of the Region that the
 * stack is deployed to, looked up by CloudFormation.
 */
export function indexFacesRate(scope: Construct, configured: number | undefined): string {
  if (configured !== undefined) {
    return String(configured);
  }
  const stack = Stack.of(scope);
  // One of it, whoever asks: IndexFaces and the searches have the same quotas.
  const known = stack.node.tryFindChild('FastRegion') as CfnCondition | undefined;
  const inFastRegion =
    known ??
    new CfnCondition(stack, 'FastRegion', {
      expression: Fn.conditionOr(
        ...[...FAST_REGIONS].map((region) => Fn.conditionEquals(Aws.REGION, region)),
      ),
    });
  return Fn.conditionIf(inFastRegion.logicalId, String(FAST), String(SLOW)).toString();
}

/** Warns when the pace is the small default quota, or less, and says what that means for an event's photos. */
export function warnIfSlow(
  scope: Construct,
  configured: number | undefined,
  likelyRegion: string | undefined,
): void {
  const rate = configured ?? (likelyRegion ? regionQuota(likelyRegion) : FAST);
  if (rate > SLOW) {
    return;
  }
  const where =
    configured === undefined ? `The default quota in ${likelyRegion} is` : 'indexFacesPerSecond is';
  Annotations.of(scope).addWarningV2(
    'rollcall:slowIndexFaces',
    `${where} ${rate} IndexFaces calls a second: 1,000 photos take at least ${Math.ceil(1000 / rate)} s. ` +
      'Ask Service Quotas for more and set indexFacesPerSecond, or deploy to us-east-1, us-west-2 or eu-west-1 (50 a second).',
  );
}
