import { availableParallelism } from 'node:os';
import type { Config } from 'jest';

const config: Config = {
  // Those that take minutes for what they show are `npm run test:long`.
  testMatch: ['<rootDir>/test/**/!(*.long).test.ts'],
  // What `npm run package` makes.
  modulePathIgnorePatterns: ['<rootDir>/dist/'],
  extensionsToTreatAsEsm: ['.ts'],
  testSequencer: '<rootDir>/test/support/sequencer.ts',
  globalSetup: '<rootDir>/test/support/before-all.ts',
  globalTeardown: '<rootDir>/test/support/after-all.ts',
  testEnvironment: '<rootDir>/test/support/environment.ts',
  // Two more than cores: the end-to-end tests wait as much as they compute.
  maxWorkers: availableParallelism() + 2,
  // What a file leaves in its worker's memory makes the next ones slower: a sixth of the whole run.
  workerIdleMemoryLimit: '500MB',
  setupFiles: ['<rootDir>/test/support/seed.ts', '<rootDir>/test/support/clock.ts'],
  // Real databases and processes take their time on a busy machine.
  testTimeout: 60_000,
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2024' }, module: { type: 'es6' } },
    ],
  },
};
export default config;
