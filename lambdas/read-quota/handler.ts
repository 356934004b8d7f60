import { setTimeout as sleep } from 'node:timers/promises';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { ServiceQuotasClient } from '@aws-sdk/client-service-quotas';
import { environmentNames } from '../shared/contract/names.ts';
import { slotLedger } from '../shared/line/store.ts';
import { clientOptions } from '../shared/runtime/clients.ts';
import { requireEnv } from '../shared/runtime/environment.ts';
import { lambdaHandler, telemetry } from '../shared/runtime/telemetry.ts';
import { readQuota } from './read-quota.ts';

const quotas = new ServiceQuotasClient(clientOptions(5_000, 3));
const ledger = slotLedger(
  {
    dynamodb: new DynamoDBClient(clientOptions(3_000, 3)),
    table: requireEnv(environmentNames.ledgerTable),
    now: Date.now,
    random: Math.random,
    sleep: (ms) => sleep(ms),
  },
  // It takes no slot.
  { perSecond: 1 },
);

export const handler = lambdaHandler(() => readQuota({ quotas, ledger, telemetry }));
