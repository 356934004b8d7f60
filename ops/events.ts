import { UserError } from '../cli/user-error.ts';
import { ask } from './database.ts';
import type { Deployment } from './deployment.ts';

/** @throws UserError when the database knows no such event */
export async function checkEvent(deployment: Deployment, eventId: string | undefined): Promise<void> {
  if (eventId === undefined) {
    return;
  }
  const events = await ask(deployment, { ask: 'events', event_id: eventId });
  if (events.length === 0) {
    throw new UnknownEvent(`The database knows no event ${eventId} in ${deployment.name}.`, 1);
  }
}

/** Nothing is away: what was asked for is not there. */
export class UnknownEvent extends UserError {}
