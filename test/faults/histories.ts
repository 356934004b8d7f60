/** `npm run faults -- --histories N`: random histories, without the local cloud. */
import { render, renderShort, startCampaign } from '../histories/campaign.ts';

/** How often it is told how far it is. */
const PROGRESS_MS = 5_000;

export interface HistoriesOptions {
  histories: number;
  /** The first seed. */
  seed: number;
  json: boolean;
  /** Of every class of violation the shortest history in one line, and not only of the most frequent one in full. */
  table: boolean;
}

/** @returns how many histories ended in a violation */
export async function runHistories({ histories, seed, json, table }: HistoriesOptions): Promise<number> {
  const campaign = await startCampaign();
  try {
    process.stderr.write(`${histories} histories from seed ${seed}\n`);
    let toldMs = Date.now();
    const report = await campaign.run({
      seeds: Array.from({ length: histories }, (_, i) => seed + i),
      onHistory(done, violating) {
        if (Date.now() - toldMs > PROGRESS_MS) {
          toldMs = Date.now();
          process.stderr.write(`${done} of ${histories}, ${violating} with a violation\n`);
        }
      },
    });
    const { violations, paid, shown, told, seconds } = report;
    const classes = [...report.classes].sort(([, a], [, b]) => b.length - a.length);
    const out = json ? process.stderr : process.stdout;
    for (const [name, found] of classes) {
      out.write(`${name}: ${found.length} of ${histories} histories, first seeds ${found.slice(0, 5)}\n`);
      if (table) {
        out.write(`  ${renderShort(await campaign.explain(found[0]!, name))}\n`);
      }
    }
    const [[name, found] = []] = classes;
    if (name !== undefined && found !== undefined && !table) {
      out.write(`${render(name, await campaign.explain(found[0]!, name))}\n`);
    }
    if (json) {
      process.stdout.write(
        `${JSON.stringify({ histories, violations, paid, shown, told, seconds, seed })}\n`,
      );
    } else if (violations === 0) {
      out.write(
        `Everything agrees after ${histories} histories, ${paid} billed images, ${shown} faces that searches showed and ${told} changes told, ${seconds} s.\n`,
      );
    } else {
      out.write(`${violations} of ${histories} histories ended in a violation, ${seconds} s.\n`);
    }
    return violations;
  } finally {
    await campaign.stop();
  }
}
