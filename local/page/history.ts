/** From an execution's history to what it did, try by try. No I/O. */
import type { Execution, HistoryEvent } from '../state-machine.ts';
import type { ExecutionAnswer, Step } from './answers.ts';

export function executionAnswer({
  executionArn,
  status,
  startedAt,
  end,
  history,
}: Execution): ExecutionAnswer {
  return {
    name: executionArn.slice(executionArn.lastIndexOf(':') + 1),
    status,
    started_at: startedAt.toISOString(),
    ended_at: end?.endedAt.toISOString() ?? null,
    error: end?.error ?? null,
    cause: causeOf(end?.cause),
    steps: stepsOf(history),
  };
}

/** Each try of each state, in order. What begins while another is at work ends that one. */
export function stepsOf(history: readonly HistoryEvent[]): Step[] {
  const steps: Step[] = [];
  for (const { type, timestamp, state, error, cause } of history) {
    const at = new Date(timestamp).toISOString();
    const last = steps.at(-1);
    switch (type) {
      case 'StateEntered':
        steps.push(begun(state ?? '', 1, at));
        break;
      case 'StateRetried':
        steps.push(begun(state ?? '', last?.state === state ? last!.attempt + 1 : 1, at));
        break;
      case 'StateFailed':
        if (last) {
          Object.assign(last, { ended_at: at, error: error ?? 'Error', cause: causeOf(cause) });
        }
        break;
      case 'StateExited':
        if (last) {
          last.ended_at ??= at;
        }
        break;
    }
  }
  return steps;
}

function begun(state: string, attempt: number, started_at: string): Step {
  return { state, attempt, started_at, ended_at: null, error: null, cause: null };
}

/** A function's error is JSON, as Lambda answers it; its message is what people want to read. */
function causeOf(cause: string | undefined): string | null {
  try {
    const { errorMessage } = JSON.parse(cause ?? '') as { errorMessage?: unknown };
    return typeof errorMessage === 'string' ? errorMessage : (cause ?? null);
  } catch {
    return cause ?? null;
  }
}
