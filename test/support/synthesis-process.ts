/** Synthesises what it is asked for on its standard input, and answers on its standard output. */
import { readFileSync } from 'node:fs';
import { synthesise } from './synth.ts';

export interface SynthesisRequest {
  rollcall: object;
  outdir: string;
}

/** Nothing when the assembly is there, or why it is not. */
export type SynthesisAnswer = string | null;

const requests = JSON.parse(readFileSync(0, 'utf8')) as SynthesisRequest[];
const answers = requests.map(({ rollcall, outdir }): SynthesisAnswer => {
  try {
    synthesise({ context: { rollcall }, outdir });
    return null;
  } catch (error) {
    return (error as Error).message;
  }
});
process.stdout.write(JSON.stringify(answers));
