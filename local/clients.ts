import { REGION } from './template.ts';

/**
 * For an SDK client of the person at the keyboard on a local service. No service here checks a signature; the key id tells
 * whose call it is.
 */
export const localClientOptions = {
  region: REGION,
  credentials: { accessKeyId: 'LOCAL-operator', secretAccessKey: 'local' },
};
