import { MEGABYTES } from '../../bench/pacing/functions.ts';
import { synthesisedStack } from '../support/synthesised.ts';

test('the benchmark of the pace counts the memory that functions have', () => {
  const { ProcessPhoto: _, ...deployed } = MEGABYTES;
  const functions = synthesisedStack().template.resources('AWS::Lambda::Function');
  for (const [name, megabytes] of Object.entries(deployed)) {
    expect([name, functions[`PhotoIndexing/${name}`]!.Properties.MemorySize]).toEqual([name, megabytes]);
  }
});
