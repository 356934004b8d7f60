import { listPrices } from '../lambdas/shared/contract/prices.ts';

/** What IndexFaces asks for so many photos, at the list price of the first million a month: `about $12`. */
export function priceOf(photos: number): string {
  const usd = photos * listPrices.rekognitionImage;
  if (usd < 0.01) {
    return photos === 0 ? 'nothing' : 'less than a cent';
  }
  return usd >= 10 ? `about $${Math.round(usd)}` : `about $${usd.toFixed(2)}`;
}

/** The same as the most that it can be: `at most $12`. */
export function atMost(photos: number): string {
  return priceOf(photos).replace(/^about/, 'at most');
}

/** `$1.20`; of less than a cent, that it is. */
export function dollars(usd: number): string {
  return usd > 0 && usd < 0.005 ? 'less than a cent' : `$${usd.toFixed(2)}`;
}
