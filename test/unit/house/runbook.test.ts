import { readFileSync } from 'node:fs';
import path from 'node:path';
import { failureKinds } from '../../../lambdas/shared/contract/errors.ts';

const runbook = readFileSync(path.join(import.meta.dirname, '../../../docs/runbook.md'), 'utf8');

/** The titles of a chapter's sections, with their texts. */
function sections(chapter: string): Map<string, string> {
  const [, text = ''] = runbook.split(`\n## ${chapter}\n`);
  const parts = text
    .split(/\n## /)[0]!
    .split(/\n### /)
    .slice(1);
  return new Map(parts.map((part) => [part.split('\n')[0]!, part.slice(part.indexOf('\n'))]));
}

describe('the runbook', () => {
  const codes = sections('Failure codes');

  test('has a section for every failure code, and for none that does not exist', () => {
    expect([...codes.keys()].sort()).toEqual(Object.keys(failureKinds).sort());
  });

  test.each(Object.entries(failureKinds))('tells the truth about %s', (name, { retryable }) => {
    const text = codes.get(name)!;
    expect(text).toContain('**Means.**');
    const [, says] = /\*Again\?\*\s+(Yes|No)/.exec(text) ?? [];
    if (says !== undefined) {
      expect(says).toBe(retryable ? 'Yes' : 'No');
    } else {
      // Nothing that a photo can end with.
      expect(['PhotoSuperseded', 'FacesStillListed']).toContain(name);
    }
  });

  test('has a section for every queue, with what it means and how to mend', () => {
    const queues = sections('Queues');
    const outputs = ['ErasureDeadLetterQueueUrl', 'LastResortQueueUrl', 'LastResortDeadLetterQueueUrl'];
    expect(queues.size).toBe(outputs.length);
    for (const output of outputs) {
      const about = [...queues.values()].find((text) => text.includes(`Output \`${output}\``));
      expect([output, about]).toEqual([output, expect.stringMatching(/\*\*Means\.\*\*.*\*\*Mend\.\*\*/s)]);
    }
  });

  test('links only to sections that it has', () => {
    const anchors = new Set(
      [...runbook.matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
        title!
          .toLowerCase()
          .replaceAll(/[^\w\- ]/g, '')
          .replaceAll(' ', '-'),
      ),
    );
    const broken = [...runbook.matchAll(/\]\(#([^)]+)\)/g)]
      .map(([, target]) => target!)
      .filter((target) => !anchors.has(target));
    expect(broken).toEqual([]);
  });
});
