/** Synthesises what it is asked for on its standard input, and answers on its standard output. */
import { readFileSync } from 'node:fs';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { synthesise } from './synth.ts';

export interface SynthesisRequest {
  rollcall: object;
  outdir: string;
  likelyRegion?: string;
  /** Whether the rule packs and CDK's own validation look through the template. */
  validate?: boolean;
  /** Whether the stack gets a bucket that breaks the rules. */
  openBucket?: boolean;
}

/** Nothing when the assembly is there, or why it is not. */
export type SynthesisAnswer = string | null;

const requests = JSON.parse(readFileSync(0, 'utf8')) as SynthesisRequest[];
const answers = requests.map(({ rollcall, openBucket, ...request }): SynthesisAnswer => {
  try {
    synthesise({
      ...request,
      context: { rollcall },
      ...(openBucket && { rulePacks: true, change: (stack) => void new Bucket(stack, 'Open') }),
    });
    return null;
  } catch (error) {
    return (error as Error).message;
  }
});
process.stdout.write(JSON.stringify(answers));
