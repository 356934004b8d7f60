/** What can be taken away from a migration, one thing at a time: what it refuses, what it fills in, and whom it lets in. */
import { type Mutation, mutationsOf } from './mutations.ts';

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

/** The changes of a migration or of a module. */
export function mutationsIn(file: string, source: string): Mutation[] {
  return file.endsWith('.sql') ? changesOfSql(source) : mutationsOf(file, source);
}

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
    .filter(({ start, end }) => !isSaidByKey(source, start, source.slice(start, end)))
    .sort((a, b) => a.start - b.start);
}

/** Whether a column is never empty because the primary key of its table names it: that it says so too changes nothing. */
function isSaidByKey(source: string, start: number, found: string): boolean {
  const [, column] = /(\w+) +\w+$/.exec(source.slice(0, start)) ?? [];
  const [rest] = source.slice(start).split(';', 1);
  const [, key = ''] = /^ {2}PRIMARY KEY \(([^)]*)\)/m.exec(rest!) ?? [];
  return found === ' NOT NULL' && key.split(', ').includes(column!);
}
