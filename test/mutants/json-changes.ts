/** What can be taken away from a state machine's definition, one thing at a time. */

export interface JsonChange {
  /** `States.IndexFaces.Retry[0].MaxAttempts`. */
  at: string;
  what: string;
}

/** Lists whose order counts: the first that fits is taken. A retrier's errors are in no other one. */
const ORDERED = /\.(Choices|Catch)$/;

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Every key and every element left out, every number another, every text another, every two neighbours of a list whose order counts swapped. */
export function changesOf(definition: Json): (JsonChange & { definition: Json })[] {
  const found: (JsonChange & { definition: Json })[] = [];
  const visit = (value: Json, at: string, put: (other: Json | undefined) => Json): void => {
    const note = (what: string, other: Json | undefined) => found.push({ at, what, definition: put(other) });
    if (typeof value === 'number') {
      note(`${value} -> ${value * 2}`, value * 2);
    } else if (typeof value === 'boolean') {
      note(`${value} -> ${!value}`, !value);
    } else if (typeof value === 'string') {
      note(`${value} -> ${value}Mutant`, `${value}Mutant`);
    } else if (Array.isArray(value)) {
      value.forEach((element, i) => {
        const elementAt = `${at}[${i}]`;
        found.push({ at: elementAt, what: 'left out', definition: put(value.toSpliced(i, 1)) });
        if (i + 1 < value.length && ORDERED.test(at)) {
          const swapped = value.with(i, value[i + 1]!).with(i + 1, element);
          found.push({ at: elementAt, what: 'after the next', definition: put(swapped) });
        }
        visit(element, elementAt, (other) =>
          put(other === undefined ? value.toSpliced(i, 1) : value.with(i, other)),
        );
      });
    } else if (value !== null) {
      for (const [key, child] of Object.entries(value)) {
        if (key === 'Comment') {
          continue;
        }
        const childAt = at ? `${at}.${key}` : key;
        const { [key]: _, ...rest } = value;
        found.push({ at: childAt, what: 'left out', definition: put(rest) });
        visit(child, childAt, (other) =>
          put(
            Object.fromEntries(
              Object.entries(value).flatMap(([k, v]) =>
                k !== key ? [[k, v]] : other === undefined ? [] : [[k, other]],
              ),
            ),
          ),
        );
      }
    }
  };
  visit(definition, '', (other) => other ?? null);
  return found;
}

export function describeChange({ at, what }: JsonChange): string {
  return `${at}: ${what}`;
}
