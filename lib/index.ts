/** What the package offers: the construct, what it takes, and what a consumer of its events reads them with. */
export {
  type ExecutionStatusChange,
  PHOTO_END_VERSION,
  type PhotoEnd,
  photoEnd,
} from '../lambdas/shared/contract/photo-end.ts';
export { ConfigurationError, type RollcallConfig } from './config/config.ts';
export type { VpcDatabaseProps } from './database/vpc-database.ts';
export { Rollcall, type RollcallParts, type RollcallProps } from './rollcall.ts';
