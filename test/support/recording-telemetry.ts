import { MetricUnit } from '@aws-lambda-powertools/metrics';
import type { Telemetry } from '../../lambdas/shared/runtime/telemetry.ts';

export interface RecordedMetric {
  name: string;
  value: number;
  dimensions: Record<string, string>;
}

const units = new Set<string>(Object.values(MetricUnit));

/** Telemetry that keeps what it is told, of units that CloudWatch knows. */
export function recordingTelemetry() {
  const recorded: RecordedMetric[] = [];
  const keys: Record<string, unknown> = {};
  const lines: { level: string; message: string; [key: string]: unknown }[] = [];
  const log = (level: string) => (message: string, extra?: object) => {
    lines.push({ level, message, ...extra });
  };
  const record = (name: string, unit: string, value: number, dimensions: Record<string, string>) => {
    // As Powertools does.
    if (!units.has(unit)) {
      throw new RangeError(`No unit of CloudWatch's: ${unit}`);
    }
    recorded.push({ name, value, dimensions });
  };
  const metrics = {
    addMetric: (name: string, unit: string, value: number) => {
      record(name, unit, value, {});
      return metrics;
    },
    singleMetric: () => {
      const dimensions: Record<string, string> = {};
      const single = {
        addDimensions: (more: Record<string, string>) => {
          Object.assign(dimensions, more);
          return single;
        },
        addMetric: (name: string, unit: string, value: number) => {
          record(name, unit, value, dimensions);
          return single;
        },
      };
      return single;
    },
  };
  const logger = {
    info: log('info'),
    warn: log('warn'),
    error: log('error'),
    appendKeys: (more: object) => void Object.assign(keys, more),
  };
  return {
    telemetry: { logger, metrics } as unknown as Telemetry,
    lines,
    /** What every line says from then on. */
    keys,
    recorded,
    total: (name: string) =>
      recorded.filter((metric) => metric.name === name).reduce((sum, metric) => sum + metric.value, 0),
  };
}
