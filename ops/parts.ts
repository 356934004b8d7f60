import { awsErrorDetails } from '../lambdas/shared/contract/errors.ts';
import { withReadableErrors } from './aws-errors.ts';
import { UnknownEvent } from './events.ts';
import type { Until } from './time-limit.ts';

/** A part of an answer: its value, or why there is none. One that is missing takes no other with it. */
export type Part<Value> = { value: Value } | { problem: string };

/**
 * What a call brought in time, or its own error in one line.
 *
 * @param who is asked, where that is all there is to say
 * @throws UnknownEvent where the question itself was wrong
 */
export async function part<Value>(call: Promise<Value>, until: Until, who: string): Promise<Part<Value>> {
  try {
    return { value: await withReadableErrors(() => until(call, who)) };
  } catch (error) {
    if (error instanceof UnknownEvent) {
      throw error;
    }
    const { name, message } = awsErrorDetails(error);
    const text = name === 'UserError' || message === '' ? message || name : `${name}: ${message}`;
    return { problem: text.replace(/\s+/g, ' ').trim() };
  }
}

/** The value, or null where it is missing. */
export function known<Value>(of: Part<Value>): Value | null {
  return 'value' in of ? of.value : null;
}

/** The problems of all parts, each once. */
export function problemsOf(parts: readonly Part<unknown>[]): string[] {
  return [...new Set(parts.flatMap((one) => ('problem' in one ? [one.problem] : [])))];
}
