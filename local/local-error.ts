import { exitCodes, UserError } from '../cli/user-error.ts';

/**
 * What stops the local run and what the person at the keyboard can do about it: the message is one line that says both,
 * and is meant to be shown without a stack trace.
 */
export class LocalError extends UserError {
  override readonly name: LocalErrorName;

  constructor(name: LocalErrorName, message: string, options?: { cause?: unknown }) {
    super(message, exitCodes.incomplete, options);
    this.name = name;
  }
}

export type LocalErrorName =
  | 'DeploymentError'
  | 'StateFolderInUseError'
  | 'IncompatibleStateError'
  | 'PortInUseError'
  | 'PostgresError'
  | 'SynthesisError'
  | 'UnsupportedTemplateError';
