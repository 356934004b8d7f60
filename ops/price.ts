import { listPrices } from '../lambdas/shared/prices.ts';

/** What IndexFaces asks for so many photos, at the list price of the first million a month: `about $12`. */
export function priceOf(photos: number): string {
  const dollars = photos * listPrices.rekognitionImage;
  if (dollars < 0.01) {
    return photos === 0 ? 'nothing' : 'less than a cent';
  }
  return dollars >= 10 ? `about $${Math.round(dollars)}` : `about $${dollars.toFixed(2)}`;
}
