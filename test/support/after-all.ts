/** Jest's `globalTeardown`: the workers have ended. */
import { rmSync } from 'node:fs';
import { removeAbandonedClaims } from './free-port.ts';

export default function afterAll(): void {
  removeAbandonedClaims();
  rmSync(process.env.TMPDIR!, { recursive: true, force: true, maxRetries: 3 });
}
