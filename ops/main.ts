/** `npm run ops -- COMMAND`: the recovery commands, on AWS and on this machine. */
import { keepCompiledCode } from '../cli/compile-cache.ts';

// Half of what a command that looks takes is the loading of its modules.
keepCompiledCode();
await import('./operate.ts');
