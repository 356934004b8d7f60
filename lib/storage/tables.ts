import { AttributeType, BillingMode, Table, TableEncryption } from 'aws-cdk-lib/aws-dynamodb';
import type { Construct } from 'constructs';
import type { RollcallConfig } from '../config/config.ts';
import { removalPolicy } from '../config/removal.ts';
import { acknowledge } from '../parts/acknowledge.ts';

interface TableProps {
  readonly config: RollcallConfig;
}

function keyedById({ config }: TableProps) {
  return {
    partitionKey: { name: 'id', type: AttributeType.STRING },
    billingMode: BillingMode.PAY_PER_REQUEST,
    encryption: TableEncryption.AWS_MANAGED,
    removalPolicy: removalPolicy(config),
  };
}

/**
 * The records of Powertools' idempotency: the receipt of every billed call.
 *
 * Point-in-time recovery is on because without its receipts a replay of last week's events is billed a second time.
 */
export class IdempotencyTable extends Table {
  constructor(scope: Construct, id: string, props: TableProps) {
    super(scope, id, {
      ...keyedById(props),
      timeToLiveAttribute: 'expiration',
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
    });
  }
}

/**
 * The slot ledger: one item that says when the next IndexFaces call may be made, and one for each event with photos in line,
 * which expires by itself.
 */
export class SlotLedger extends Table {
  constructor(scope: Construct, id: string, props: TableProps) {
    super(scope, id, { ...keyedById(props), timeToLiveAttribute: 'expiration' });
    acknowledge(
      this,
      'The ledger holds the next second, not history: an empty table works at once, a restored one would only be wrong',
      'AwsSolutions-DDB3',
    );
  }
}

/** What events and callers have searched within the last hour: numbers that expire by themselves. */
export class SearchLimitsTable extends Table {
  constructor(scope: Construct, id: string, props: TableProps) {
    super(scope, id, { ...keyedById(props), timeToLiveAttribute: 'expiration' });
    acknowledge(
      this,
      'It holds the last hour, not history: an empty table works at once, a restored one would only be wrong',
      'AwsSolutions-DDB3',
    );
  }
}

/** What photographers have indexed today, and whose each event is: numbers and ids that expire by themselves. */
export class PhotographersTable extends Table {
  constructor(scope: Construct, id: string, props: TableProps) {
    super(scope, id, { ...keyedById(props), timeToLiveAttribute: 'expiration' });
    acknowledge(
      this,
      'It holds the day, not history: an empty table works at once, a restored one would only be wrong',
      'AwsSolutions-DDB3',
    );
  }
}
