import { RemovalPolicy } from 'aws-cdk-lib';
import type { RollcallConfig } from './config.ts';

/** What becomes of a resource that holds data. What a failed first deployment made is empty, and goes either way. */
export function removalPolicy({ removal }: RollcallConfig): RemovalPolicy {
  return removal === 'retain' ? RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE : RemovalPolicy.DESTROY;
}
