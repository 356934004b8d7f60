/**
 * Jest's `globalSetup`. A run of the tests gets a temporary folder of its own, for whatever they, CDK and the processes that they
 * start put there, and it goes with the run: no test has to clear up.
 */
import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

export default function beforeAll(): void {
  process.env.ROLLCALL_PORT_CLAIMS = path.join(tmpdir(), 'rollcall-ports');
  const folder = mkdtempSync(path.join(tmpdir(), 'rollcall-run-'));
  // As root, PostgreSQL runs as another user.
  chmodSync(folder, 0o755);
  process.env.TMPDIR = folder;
  // Dozens of clouds see the same few pictures, start with the same empty database and load the same modules.
  process.env.ROLLCALL_ANALYSES = path.join(folder, 'analyses');
  process.env.ROLLCALL_CLUSTER = path.join(folder, 'cluster');
  process.env.NODE_COMPILE_CACHE = path.join(folder, 'compiled');
  process.env.ROLLCALL_FUNCTIONS_CODE = path.join(folder, 'compiled');
}
