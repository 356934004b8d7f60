/**
 * Jest's `globalSetup`. A run of the tests gets a temporary folder of its own, for whatever they, CDK and the processes that they
 * start put there, and it goes with the run: no test has to clear up.
 */
import { tmpdir } from 'node:os';
import path from 'node:path';
import { makeRunFolder } from './run-folder.ts';

export default function beforeAll(): void {
  process.env.ROLLCALL_PORT_CLAIMS = path.join(tmpdir(), 'rollcall-ports');
  const folder = makeRunFolder();
  process.env.TMPDIR = folder;
  // Dozens of clouds see the same few pictures, start with the same empty database and load the same modules.
  process.env.ROLLCALL_ANALYSES = path.join(folder, 'analyses');
  process.env.ROLLCALL_CLUSTER = path.join(folder, 'cluster');
  process.env.NODE_COMPILE_CACHE = path.join(folder, 'compiled');
  process.env.ROLLCALL_FUNCTIONS_CODE = path.join(folder, 'compiled');
}
