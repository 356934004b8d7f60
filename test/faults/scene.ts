import { createHash } from 'node:crypto';
import type { Cloud } from '../../local/cloud.ts';
import type { FaultPlan } from './plan.ts';

/** What happened to one photo, in order. */
export interface Incident {
  /** Milliseconds since the run began. */
  atMs: number;
  what: string;
  /** Whether a fault was put there, or it is only what came of it. */
  isFault: boolean;
}

/** What one run of a seed knows beside the faults: which photos there are, and what happens to them. */
export interface Run {
  eventIds: readonly string[];
  plan: FaultPlan;
  /** Whether Rekognition refuses the photo, however often it is asked. */
  refusalOf(photoId: string): string | undefined;
  /** Whether the photo is deleted from the bucket before its event arrives. */
  vanishes(photoId: string): boolean;
  /** A fault strikes. */
  struck(photoId: string, what: string): void;
  /** Something happens that what must hold depends on. */
  note(photoId: string, what: string): void;
}

/** What all disturbers share. Each looks when it is asked: runs come and go. */
export class Scene {
  /** Faults strike while there is one. */
  run: Run | undefined;
  /** As soon as it is up. */
  cloud: Cloud | undefined;

  /** The photo that a key of either bucket is about, if it is one of this run. */
  photoOf(key: string): string | undefined {
    const [, event, photo] = /(?:events|results)\/([^/]+)\/([^/.]+)/.exec(key) ?? [];
    return this.run && event !== undefined && this.run.eventIds.includes(event) ? photo : undefined;
  }
}

/** The version that a stored response is of, given its key. */
export function versionOf(resultsKey: string): string {
  return resultsKey.slice(resultsKey.lastIndexOf('/') + 1).replace(/\.json$/, '');
}

/** What the ARNs of a state machine's executions begin with. */
export function executionPrefix(stateMachineArn: string): string {
  return `${stateMachineArn.replace(':stateMachine:', ':execution:')}:`;
}

export function etagOf(content: Buffer): string {
  return createHash('md5').update(content).digest('hex');
}
