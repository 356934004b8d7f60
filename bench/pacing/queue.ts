/** Amazon SQS in front of a function, as far as a pacing benchmark can tell. */
import type { RunningStrategy } from './strategy.ts';
import type { Photo } from './world.ts';

export interface Message {
  photo: Photo;
  /** How often it was received. */
  receives: number;
}

export interface QueueOptions {
  batchSize: number;
  /** Until a batch that is not full is delivered all the same. */
  batchWindowMs: number;
  /** Batches worked on at a time. */
  maxConcurrency: number;
  /** After so many receives a message goes to the dead-letter queue. */
  maxReceives: number;
  /**
   * Works on a batch and says of each message that is to be delivered again after how many milliseconds; the others are
   * done.
   */
  consume(batch: readonly Message[]): Promise<Map<Message, number>>;
}

export function startQueue(options: QueueOptions): RunningStrategy {
  const waiting: Message[] = [];
  let open = 0;
  let consumers = 0;
  let stopped = false;
  let flushing = false;
  const idle: (() => void)[] = [];

  function ended(): void {
    if (--open === 0) {
      for (const resolve of idle.splice(0)) {
        resolve();
      }
    }
  }

  function enqueue(message: Message): void {
    waiting.push(message);
    poll(false);
  }

  function poll(flushed: boolean): void {
    while (!stopped && consumers < options.maxConcurrency && waiting.length > 0) {
      if (waiting.length < options.batchSize && !flushed && options.batchWindowMs > 0) {
        if (!flushing) {
          flushing = true;
          setTimeout(() => {
            flushing = false;
            poll(true);
          }, options.batchWindowMs);
        }
        return;
      }
      void deliver(waiting.splice(0, options.batchSize));
    }
  }

  async function deliver(batch: Message[]): Promise<void> {
    consumers++;
    for (const message of batch) {
      message.receives++;
    }
    const again = await options.consume(batch);
    consumers--;
    for (const message of batch) {
      const delayMs = again.get(message);
      if (delayMs === undefined || message.receives >= options.maxReceives) {
        ended();
      } else {
        setTimeout(() => enqueue(message), delayMs);
      }
    }
    poll(false);
  }

  return {
    take(photo) {
      open++;
      enqueue({ photo, receives: 0 });
    },
    async idle() {
      if (open > 0) {
        await new Promise<void>((resolve) => idle.push(resolve));
      }
    },
    stop() {
      stopped = true;
    },
    transitionsPerPhoto: () => 0,
  };
}
