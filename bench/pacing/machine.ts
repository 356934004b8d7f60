import { mkdtempSync } from 'node:fs';
import path from 'node:path';
import { createStateMachine } from '../../local/state-machine.ts';
import type { RunningStrategy } from './strategy.ts';
import type { Photo, World } from './world.ts';

/** Runs a strategy that is a state machine: one execution for each photo, with `more` in its input. */
export function startMachine(
  world: World,
  definition: string,
  invoke: (name: string, payload: unknown) => Promise<unknown>,
  more: object = {},
): RunningStrategy {
  const machine = createStateMachine({
    arn: 'arn:aws:states:us-east-1:000000000000:stateMachine:bench',
    definition,
    folder: mkdtempSync(path.join(world.folder, 'machine-')),
    invoke: (resource, payload) => invoke(resource.slice(resource.lastIndexOf(':') + 1), payload),
  });
  let ended = 0;
  let transitions = 0;
  machine.onEnd((end) => {
    ended++;
    transitions += end.transitions;
  });
  return {
    take: (photo: Photo) => void machine.start({ ...photo.input, ...more }, photo.id),
    idle: () => machine.idle(),
    stop: () => machine.stop(),
    transitionsPerPhoto: () => (ended > 0 ? transitions / ended : 0),
  };
}

export function functionArn(name: string): string {
  return `arn:aws:lambda:us-east-1:000000000000:function:${name}`;
}
