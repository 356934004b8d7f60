/** Changes after which everything is as it was for everyone: no test can notice, and none has to. */

interface Equivalent {
  file: string;
  /** The line of code, and the change, as `npm run mutants` prints it. */
  line?: string;
  change: string;
  because: string;
}

export const equivalents: Equivalent[] = [];

export function equivalentOf(file: string, change: string, line?: string): Equivalent | undefined {
  return equivalents.find((one) => one.file === file && one.change === change && one.line === line);
}
