import { LocalError } from './local-error.ts';

/** An output that every Rollcall has, and nothing else. */
const MARK = 'ReadsIndexFacesQuota';

/**
 * The outputs of the one Rollcall of a stack, by the names that they have where it is the whole stack: in an app of somebody's the
 * construct's id is before each.
 *
 * @throws LocalError `UnsupportedTemplateError` where there is none, or more than one
 */
export function rollcallOutputs(outputs: Readonly<Record<string, string>>): Record<string, string> {
  const marks = Object.keys(outputs).filter((name) => name.endsWith(MARK));
  const [mark] = marks;
  if (mark === undefined || marks.length > 1) {
    throw new LocalError(
      'UnsupportedTemplateError',
      `The local run takes a stack with one Rollcall, and this has ${marks.length}.`,
    );
  }
  const prefix = mark.slice(0, -MARK.length);
  return Object.fromEntries(
    Object.entries(outputs)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, value]) => [name.slice(prefix.length), value]),
  );
}
