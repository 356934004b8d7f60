/**
 * Changes after which everything is as it was for everyone: no test can notice, and none has to. Each has its reason; a test
 * holds that each still is one of the changes that are tried.
 */

interface Equivalent {
  file: string;
  /** The line of code that is changed, and the change, as `npm run mutants` prints it. */
  line?: string;
  change: string;
  because: string;
}

export const equivalents: Equivalent[] = [
  {
    file: 'lambdas/shared/rekognition/pace.ts',
    line: 'let nextMs = 0;',
    change: '0 -> 1',
    because: 'Both are long ago: the first call is at now.',
  },
  ...['mine > now() -> true', '> -> >='].map((change) => ({
    file: 'lambdas/shared/rekognition/pace.ts',
    line: 'if (mine > now()) {',
    change,
    because: 'Sleeping for no time is not sleeping.',
  })),
  {
    file: 'lambdas/shared/storage/head-object.ts',
    line: 'await body?.transformToByteArray();',
    change: 'await body?.transformToByteArray(); -> ;',
    because: 'Reads the byte so that the connection can be used again: nothing that is returned tells it.',
  },
  {
    file: 'lambdas/shared/storage/head-object.ts',
    line: 'await body?.transformToByteArray();',
    change: '?. -> .',
    because: 'Without a body it throws, without a status: that is not a reason either.',
  },
];

export function equivalentOf(file: string, change: string, line?: string): Equivalent | undefined {
  return equivalents.find((one) => one.file === file && one.change === change && one.line === line);
}
