/** What the counted quantities cost at list prices. */
import { listPrices } from '../../lambdas/shared/contract/prices.ts';
import type { Quantities } from './quantities.ts';

export interface CostItem {
  name: string;
  unit: string;
  quantity_per_photo: number;
  usd_per_1000: number;
}

export interface Cost {
  usd_per_1000: number;
  items: CostItem[];
}

/** A measured part of one design, by photo. */
export type PerPhoto = Record<keyof typeof billed, number>;

/** Every item that is billed by use: what it is called, and its price. */
const billed = {
  images: { name: 'Rekognition', unit: 'images', price: listPrices.rekognitionImage },
  transitions: { name: 'Step Functions', unit: 'transitions', price: listPrices.stateTransition },
  lambdaGigabyteSeconds: { name: 'Lambda, time', unit: 'GB-s', price: listPrices.lambdaGigabyteSecond },
  lambdaRequests: { name: 'Lambda, requests', unit: 'requests', price: listPrices.lambdaRequest },
  s3Writes: { name: 'S3, writes', unit: 'requests', price: listPrices.s3Write },
  s3Reads: { name: 'S3, reads', unit: 'requests', price: listPrices.s3Read },
  dynamodbWriteUnits: { name: 'DynamoDB, writes', unit: 'units', price: listPrices.dynamodbWriteUnit },
  dynamodbReadUnits: { name: 'DynamoDB, reads', unit: 'units', price: listPrices.dynamodbReadUnit },
  logGigabytes: { name: 'CloudWatch Logs', unit: 'GB', price: listPrices.logGigabyte },
  s3Events: { name: 'S3 events', unit: 'events', price: listPrices.s3Event },
  sqsRequests: { name: 'SQS', unit: 'requests', price: listPrices.sqsRequest },
} as const;

/** By photo that was indexed: what failed or came twice is paid by the others. */
export function perPhoto(quantities: Quantities): PerPhoto {
  const { indexed, logBytes } = quantities;
  const of = (total: number) => total / indexed;
  return {
    images: of(quantities.images),
    transitions: of(quantities.transitions),
    lambdaGigabyteSeconds: of(quantities.lambdaGigabyteSeconds),
    lambdaRequests: of(quantities.lambdaRequests),
    s3Writes: of(quantities.s3Writes),
    s3Reads: of(quantities.s3Reads),
    dynamodbWriteUnits: of(quantities.dynamodbWriteUnits),
    dynamodbReadUnits: of(quantities.dynamodbReadUnits),
    logGigabytes: of(logBytes) / 1e9,
    s3Events: of(quantities.s3Events),
    sqsRequests: of(quantities.sqsRequests),
  };
}

export function costOf(design: PerPhoto): Cost {
  const items = (Object.keys(billed) as (keyof typeof billed)[]).map((key): CostItem => {
    const { name, unit, price } = billed[key];
    return { name, unit, quantity_per_photo: design[key], usd_per_1000: 1_000 * design[key] * price };
  });
  return { usd_per_1000: items.reduce((sum, { usd_per_1000 }) => sum + usd_per_1000, 0), items };
}

/** Rekognition alone. */
export const FLOOR_USD_PER_1000 = 1_000 * listPrices.rekognitionImage;
