import { ServiceQuotasClient } from '@aws-sdk/client-service-quotas';
import { ledgerFromEnvironment } from '../shared/line/environment.ts';
import { clientOptions } from '../shared/runtime/clients.ts';
import { lambdaHandler, telemetry } from '../shared/runtime/telemetry.ts';
import { readQuota } from './read-quota.ts';

const quotas = new ServiceQuotasClient(clientOptions(5_000, 3));
// It takes no slot.
const ledger = ledgerFromEnvironment({ perSecond: 1 });

export const handler = lambdaHandler(() => readQuota({ quotas, ledger, telemetry }));
