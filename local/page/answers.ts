/** What the page asks of the local run beside the HTTP API: what only one machine can tell. No behaviour. */

export interface LocalEvent {
  event_id: string;
  photos: number;
  faces: number;
}

export interface LocalEvents {
  /** Where the events' folders are in the photo bucket, with a slash at its end. */
  folder: string;
  /** The latest first. */
  events: LocalEvent[];
}

/** One try of a state. Times are ISO 8601 in UTC. */
export interface Step {
  state: string;
  /** 1 for the first. */
  attempt: number;
  started_at: string;
  /** Null while it is at work. */
  ended_at: string | null;
  error: string | null;
  cause: string | null;
}

/** What an execution did for a photo. */
export interface ExecutionAnswer {
  name: string;
  status: 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'TIMED_OUT' | 'ABORTED';
  started_at: string;
  ended_at: string | null;
  error: string | null;
  cause: string | null;
  steps: Step[];
}
