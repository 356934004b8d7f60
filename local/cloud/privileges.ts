/** The judge of every call, out of the policies of the stack. */
import { writeFileSync } from 'node:fs';
import { type Authority, createAuthority, type PrivilegeReport } from '../iam/authority.ts';
import { checkWiring } from '../iam/guard.ts';
import { readPolicies } from '../iam/policies.ts';
import type { ResolvedTemplate } from '../template.ts';
import type { Setup } from './setup.ts';

/** @throws LocalError `DeploymentError` where a deployment would fail for want of a right */
export async function createJudge({ inState, onStop }: Setup, stack: ResolvedTemplate): Promise<Authority> {
  const authority = createAuthority(readPolicies(stack));
  onStop('report', () => writePrivileges(inState('logs', 'privileges.json'), authority.report()));
  await checkWiring(authority, stack);
  return authority;
}

/** For whoever wants to see what the roles need, and what they are allowed and do not. */
function writePrivileges(file: string, { calls, denied, unused }: PrivilegeReport): void {
  const needless = unused.map(({ id, reason = 'not needed in this run' }) => ({ grant: id, reason }));
  writeFileSync(file, `${JSON.stringify({ denied, unused: needless, calls }, undefined, 2)}\n`);
}
