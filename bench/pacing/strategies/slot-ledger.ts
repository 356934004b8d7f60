import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { FunctionName } from '../functions.ts';
import { functionArn, startMachine } from '../machine.ts';
import type { Strategy } from '../strategy.ts';

const DEFINITION = path.join(import.meta.dirname, '../../../state-machines/index-photo.asl.json');

/** What this project deploys: its own definition, with its own functions. */
export const slotLedgerStrategy: Strategy = {
  name: 'slot-ledger',
  settings: ({ quota }) => `INDEX_FACES_PER_SECOND ${quota}`,
  source: 'this project',
  world: { ledger: true, sdkAttempts: 1 },
  start(world) {
    const definition = readFileSync(DEFINITION, 'utf8').replaceAll(
      /\$\{(\w+)FunctionArn\}/g,
      (_, name: string) => functionArn(name),
    );
    return startMachine(world, definition, (name, payload) =>
      world.functions.invoke(name as FunctionName, payload),
    );
  },
};
