/**
 * Of every property test: a failure prints the seed that it was found with, and FAST_CHECK_SEED gives it again. Values are
 * compared by `expect` or `Object.is`, to which NaN is NaN.
 */
import fc from 'fast-check';

const given = process.env.FAST_CHECK_SEED;

fc.configureGlobal({ ...fc.readConfigureGlobal(), ...(given !== undefined && { seed: Number(given) }) });
