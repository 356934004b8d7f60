import type { ITopic } from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import type { RollcallConfig } from '../config/config.ts';
import { AlarmTopics, type Severity } from './alarm-topics.ts';
import { type AlarmedParts, Alarms } from './alarms.ts';
import { PipelineDashboard } from './dashboard.ts';
import { LogQueries } from './log-queries.ts';
import { MonthlyBudget } from './monthly-budget.ts';

interface ObservabilityProps extends AlarmedParts {
  readonly config: RollcallConfig;
  /** IndexFaces calls per second that are aimed at, as text. */
  readonly rate: string;
  readonly topics?: Readonly<Record<Severity, ITopic>> | undefined;
}

/** What tells people how it goes: alarms and where they are sent, the dashboard, saved log queries, the budget. */
export class Observability extends Construct {
  readonly topics: AlarmTopics;
  readonly dashboardUrl: string;

  constructor(scope: Construct, id: string, props: ObservabilityProps) {
    super(scope, id);
    const { config } = props;
    const logGroups = Object.values(props.functions).map((fn) => fn.logGroup);
    this.topics = new AlarmTopics(this, 'Topics', { config, topics: props.topics });
    const dashboard = new PipelineDashboard(this, 'Dashboard', { ...props, logGroups });
    this.dashboardUrl = dashboard.url;
    const alarms = new Alarms(this, 'Alarms', { ...props, topics: this.topics, dashboardUrl: dashboard.url });
    dashboard.fill(alarms);
    new LogQueries(this, 'LogQueries', { logGroups });
    if (config.monthlyBudgetUsd > 0) {
      new MonthlyBudget(this, 'MonthlyBudget', { usd: config.monthlyBudgetUsd, topics: this.topics });
    }
  }
}
