/** What the HTTP API costs, for `docs/cost.md`: reckoned from what a question asks for, not measured. */

import { listPrices } from '../../lambdas/shared/contract/prices.ts';
import { gigabyteSeconds } from './lambda-time.ts';

/** What answers a question. */
const FUNCTION = { ms: 30, megabytes: 512 } as const;
/** The access log's line and the function's own, bytes. */
const LOGGED_BYTES = 700;
/** What Aurora stays awake for after the last statement, seconds. */
const AWAKE_SECONDS = 300;

const MILLION = 1_000_000;

export function apiSection(awakeUsdPerHour: number): string {
  const items = [
    ['API Gateway, HTTP API', listPrices.httpApiRequest],
    [
      `Lambda, about ${FUNCTION.ms} ms each at ${FUNCTION.megabytes} MB`,
      listPrices.lambdaRequest +
        gigabyteSeconds(FUNCTION.ms, FUNCTION.megabytes) * listPrices.lambdaGigabyteSecond,
    ],
    ["DynamoDB, the slot ledger's item, for `GET /events/{event}` only", listPrices.dynamodbReadUnit],
    [
      "Logs: who asked for what, and the function's own",
      (LOGGED_BYTES / 1_000_000_000) * listPrices.logGigabyte,
    ],
  ] as const;
  const all = items.reduce((sum, [, usd]) => sum + usd, 0);
  const awake = (AWAKE_SECONDS / 3_600) * awakeUsdPerHour;
  return `## The API

| | a million questions |
| --- | --- |
${items.map(([item, usd]) => `| ${item} | $${(MILLION * usd).toFixed(2)} |`).join('\n')}

About $${(MILLION * all).toFixed(2)}, and nothing while nobody asks but the $0.40 a month of its alarms' metrics. That is why it is there by default; \`-c
rollcall.api=none\` leaves it out. What costs more is the database: each question keeps Aurora awake for five minutes, $${awake.toFixed(3)}, so
a gallery that asks all day costs $${(24 * awakeUsdPerHour).toFixed(2)} a day at the smallest capacity, and one that asks while photos are processing nothing beyond
what they cost. Answers go out at $0.09 a GB after the first 100 GB of a month; a hundred photos with four faces each are 90 KB.
`;
}
