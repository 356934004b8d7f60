/**
 * For an app that imports `rollcall` and has not installed it, as those in `examples/`: the construct of this folder, whose sources
 * Node reads as they are. A package that is installed goes first.
 */
import { registerHooks } from 'node:module';

registerHooks({
  resolve(specifier, context, next) {
    try {
      return next(specifier, context);
    } catch (error) {
      if (specifier !== 'rollcall' || error.code !== 'ERR_MODULE_NOT_FOUND') {
        throw error;
      }
      return { url: new URL('../lib/index.ts', import.meta.url).href, shortCircuit: true };
    }
  },
});
