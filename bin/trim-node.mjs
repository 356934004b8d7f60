/**
 * Run by npm after each install: removes what the `node` package installs beside its executable, 60 MB of headers for compilers
 * of native modules, which nothing here needs. The executable itself is a hard link in the package's `bin`. JavaScript, because
 * whatever Node there is runs it.
 */
import { lstatSync, rmSync } from 'node:fs';
import path from 'node:path';

const node = path.join(import.meta.dirname, '..', 'node_modules', 'node');
// A symbolic link would lead into what goes.
const isFile = (file) => lstatSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
if (['node', 'node.exe'].some((executable) => isFile(path.join(node, 'bin', executable)))) {
  rmSync(path.join(node, 'node_modules'), { recursive: true, force: true });
}
