import { Aws } from 'aws-cdk-lib';
import { CfnBudget } from 'aws-cdk-lib/aws-budgets';
import { Construct } from 'constructs';
import { deploymentName } from '../parts/deployment-name.ts';
import type { AlarmTopics } from './alarm-topics.ts';

/** Percent of the month's budget that were really spent, at which somebody hears of it. */
const SPENT_PERCENT = [50, 80, 100];

interface MonthlyBudgetProps {
  readonly usd: number;
  readonly topics: AlarmTopics;
}

/**
 * Watches the account's bill, all services: what Rekognition's calls cost carries no tag that could be filtered by.
 * Budgets is some hours late; `spend-today` is the fast one. The first two budgets of an account are free.
 */
export class MonthlyBudget extends Construct {
  constructor(scope: Construct, id: string, { usd, topics: { warning } }: MonthlyBudgetProps) {
    super(scope, id);
    const notify = (notificationType: 'ACTUAL' | 'FORECASTED', threshold: number) => ({
      notification: {
        notificationType,
        comparisonOperator: 'GREATER_THAN',
        threshold,
        thresholdType: 'PERCENTAGE',
      },
      subscribers: [{ subscriptionType: 'SNS', address: warning.topicArn }],
    });
    const budget = new CfnBudget(this, 'Budget', {
      budget: {
        // In the mails; budgets belong to the account and not to a Region.
        budgetName: `${deploymentName(this)}-${Aws.REGION}-monthly-budget`,
        budgetType: 'COST',
        timeUnit: 'MONTHLY',
        budgetLimit: { amount: usd, unit: 'USD' },
      },
      notificationsWithSubscribers: [
        ...SPENT_PERCENT.map((percent) => notify('ACTUAL', percent)),
        notify('FORECASTED', 100),
      ],
    });
    // Budgets tries whether it may publish when it is made.
    budget.node.addDependency(warning);
  }
}
