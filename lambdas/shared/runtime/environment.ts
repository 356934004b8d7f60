import { PipelineError } from '../contract/errors.ts';
import type { environmentNames } from '../contract/names.ts';

type EnvironmentName = (typeof environmentNames)[keyof typeof environmentNames];

/** Reads a variable that `lib` sets on the function; throws `MissingConfiguration` naming it when it is not there. */
export function requireEnv(name: EnvironmentName): string {
  const value = process.env[name];
  if (!value) {
    throw new PipelineError('MissingConfiguration', `The environment variable ${name} is not set`);
  }
  return value;
}

/** The same for a number; throws `MissingConfiguration` when it is not a positive one. */
export function requireNumberEnv(name: EnvironmentName): number {
  const value = Number(requireEnv(name));
  if (!Number.isFinite(value) || value <= 0) {
    throw new PipelineError(
      'MissingConfiguration',
      `The environment variable ${name} is not a positive number`,
    );
  }
  return value;
}

/** The same for a whole number, which may be 0. */
export function requireCountEnv(name: EnvironmentName): number {
  const value = Number(requireEnv(name));
  if (!Number.isInteger(value) || value < 0) {
    throw new PipelineError('MissingConfiguration', `The environment variable ${name} is not a whole number`);
  }
  return value;
}
