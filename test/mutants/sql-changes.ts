/** What can be taken away from a migration, one thing at a time: what it refuses, what it fills in, and whom it lets in. */
import type { Mutation } from './mutations.ts';

const CHANGES: [RegExp, string][] = [
  [/(?<!IS) NOT NULL/g, ''],
  [/ DEFAULT (?:[\w]+(?:\(\))?|'[^']*')(?= NOT NULL|,|\n| CHECK|;)/g, ''],
  [/ REFERENCES \w+ \(id\)(?: ON DELETE \w+)?/g, ''],
  [/ON DELETE RESTRICT/g, 'ON DELETE CASCADE'],
  [/(?<= )PRIMARY KEY(?= DEFAULT|,|\n)/g, ''],
  [/,\n {2}(?:PRIMARY KEY|UNIQUE) \([^)]*\)/g, ''],
  [/ CHECK \(\w+\)/g, ''],
  [/(?<=CHECK \()\s*status <> '\w+' OR/g, 'true OR'],
  [/ AND \w+ IS NOT NULL(?=\))/g, ''],
  [/(?<=OR )\w+ IS NOT NULL(?=\))/g, 'true'],
  [/\(\w+ IS NOT NULL AND /g, '('],
  [/(?<=CHECK \(reason IN \(\n {4}[^)]*)'(\w+)'/g, "'another'"],
  [/CREATE TRIGGER[^;]*;/g, ''],
  [/ WHEN \([^)]*\)/g, ''],
  [/(?<=GRANT )SELECT, /g, ''],
  [/(?<=GRANT [\w, ]*), (?:INSERT|UPDATE|DELETE)/g, ''],
  [/GRANT SELECT(?= ON)/g, 'GRANT SELECT, DELETE'],
];

export function changesOfSql(source: string): Mutation[] {
  return CHANGES.flatMap(([pattern, replacement]) =>
    [...source.matchAll(pattern)].map(({ 0: found, index }) => ({
      line: source.slice(0, index).split('\n').length,
      start: index,
      end: index + found.length,
      replacement,
    })),
  )
    .filter(({ line }) => !/^\s*--/.test(source.split('\n')[line - 1]!))
    .sort((a, b) => a.start - b.start);
}
