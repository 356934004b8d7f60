/** `npm run bench:cost`: what 1,000 photos cost, counted. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { runCommand } from '../cli/command.ts';
import { exitCodes, UserError } from '../cli/user-error.ts';
import { IMAGE_USD } from '../lambdas/shared/contract/prices.ts';
import { measureDesigns } from './cost/designs.ts';
import { costOf, perPhoto } from './cost/items.ts';
import { countRun, type RunOptions } from './cost/quantities.ts';
import { type CostReport, documentOf, jsonOf, tableOf } from './cost/report.ts';

const usage = `Usage: npm run bench:cost -- [--photos N] [--json]

Sends photos through the local pipeline, counts what AWS would bill, and multiplies by its list prices.

  --photos N           how many (300)
  --latency-ms MEDIAN  of Rekognition's IndexFaces (600)
  --faces N            of a photo, on average (4)
  --burst N            photos of the burst in which the two other designs are measured (1000)
  --no-designs         not beside the two other designs, whose runs take some minutes
  --quota N            IndexFaces calls a second (5); less on a busy machine, on which photos would come too late for their slots
  --seed N             1
  --write              writes docs/cost.md
  --json               the last line of stdout is one JSON object
`;

/** Calls per second: two cores keep up with it. What is counted does not depend on it, as long as the machine keeps up. */
const QUOTA = 5;

/** A photo's transitions when nothing comes late; the first of an event may wait for their collection. */
const MOST_TRANSITIONS = 5.1;

function parse(
  argv: readonly string[],
): RunOptions & { burst: number; designs: boolean; write: boolean; json: boolean } {
  const string = { type: 'string' } as const;
  const boolean = { type: 'boolean' } as const;
  let values: Record<string, string | boolean | undefined>;
  try {
    ({ values } = parseArgs({
      args: [...argv],
      options: {
        photos: string,
        'latency-ms': string,
        faces: string,
        seed: string,
        quota: string,
        burst: string,
        'no-designs': boolean,
        write: boolean,
        json: boolean,
      },
    }));
  } catch (error) {
    throw new UserError((error as Error).message.split('\n')[0]!);
  }
  const number = (name: string, fallback: number, most: number) => {
    const text = values[name];
    const value = text === undefined ? fallback : Number(text);
    if (!Number.isInteger(value) || value < 1 || value > most) {
      throw new UserError(`--${name} takes a whole number from 1 to ${most}, not ${JSON.stringify(text)}.`);
    }
    return value;
  };
  return {
    photos: number('photos', 300, 100_000),
    latencyMs: number('latency-ms', 600, 20_000),
    faces: number('faces', 4, 50),
    seed: number('seed', 1, 1e9),
    quota: number('quota', QUOTA, 100),
    burst: number('burst', 1_000, 100_000),
    designs: !values['no-designs'],
    write: Boolean(values.write),
    json: Boolean(values.json),
  };
}

await runCommand({ usage: () => usage, what: 'The benchmark', run: measure });

async function measure(argv: readonly string[]): Promise<number> {
  const { burst, designs: withDesigns, write, json, ...options } = parse(argv);
  const say = (text: string) => void process.stderr.write(`${text}\n`);
  const quantities = await countRun(options, say);
  const ours = perPhoto(quantities);
  if (ours.transitions > MOST_TRANSITIONS) {
    say(
      `This machine was too busy: photos came too late for their slots and took others (${ours.transitions.toFixed(2)} transitions a photo), which nobody would pay for on AWS. Run it again with a smaller --quota.`,
    );
    return exitCodes.incomplete;
  }
  if (withDesigns) {
    say('Running the two other designs');
  }
  const designs = withDesigns ? await measureDesigns({ ...options, photos: burst }, quantities) : [];
  const report: CostReport = { options, quantities, cost: costOf(ours), designs };
  process.stdout.write(`${tableOf(report)}\n`);
  if (write) {
    writeFileSync(path.join(import.meta.dirname, '../docs/cost.md'), documentOf(report));
  }
  if (json) {
    process.stdout.write(`${JSON.stringify(jsonOf(report))}\n`);
  }
  const limit = 1_000 * IMAGE_USD;
  if (report.cost.usd_per_1000 > limit) {
    say(
      `That is more than the $${limit.toFixed(2)} that the spend alarm and the usage records count by (IMAGE_USD).`,
    );
    return exitCodes.incomplete;
  }
  return exitCodes.done;
}
