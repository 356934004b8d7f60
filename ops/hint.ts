import type { Arguments } from './arguments.ts';

/**
 * A command to copy: it operates what this one did, and not whatever the shell happens to be signed in to. In backticks, so that
 * in the middle of a sentence nobody takes a word or a period for a part of it.
 */
export function hint({ local, stack }: Pick<Arguments, 'local' | 'stack'>, command: string): string {
  const where = local ? ' --local' : stack === 'Rollcall' ? '' : ` --stack ${stack}`;
  return `\`npm run ops -- ${command}${where}\``;
}
