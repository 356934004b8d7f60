/** A DynamoDB table in memory, of items by `id`, as far as the pipeline writes its expressions; for simulations in virtual time. */
import {
  type AttributeValue,
  ConditionalCheckFailedException,
  type DynamoDBClient,
} from '@aws-sdk/client-dynamodb';
import { fakeClient } from './fake-client.ts';

type Item = Record<string, AttributeValue>;

interface Update {
  Key: { id: { S: string } };
  UpdateExpression: string;
  ConditionExpression?: string;
  ExpressionAttributeNames?: Record<string, string>;
  ExpressionAttributeValues?: Item;
  ReturnValues?: string;
}

/**
 * @param pause runs before each call, as the way to DynamoDB does; none by default
 * @param onWrite hears of each write, refused or not: both cost a unit
 */
export function memoryTable(pause: () => Promise<void> = async () => {}, onWrite: () => void = () => {}) {
  const items = new Map<string, Item>();
  return fakeClient<DynamoDBClient>({
    async GetItem({ Key }) {
      await pause();
      return { Item: items.get((Key as Update['Key']).id.S) };
    },
    async UpdateItem(input) {
      await pause();
      onWrite();
      const update = input as unknown as Update;
      const before = items.get(update.Key.id.S);
      if (!holds(update, before)) {
        throw new ConditionalCheckFailedException({
          $metadata: {},
          message: 'The conditional request failed',
          ...(before && { Item: before }),
        });
      }
      const after = applied(update, before ?? { ...update.Key });
      items.set(update.Key.id.S, after);
      return { Attributes: update.ReturnValues === 'ALL_NEW' ? after : before };
    },
  }).client;
}

function reader(
  { ExpressionAttributeNames: names = {}, ExpressionAttributeValues: values = {} }: Update,
  item: Item,
) {
  const numberOf = (value: AttributeValue | undefined) =>
    value?.N === undefined ? undefined : Number(value.N);
  return (token: string): number | undefined =>
    numberOf(token.startsWith(':') ? values[token] : item[names[token] ?? token]);
}

/** OR of ANDs, with parentheses around an OR within an AND. */
function holds(update: Update, before: Item | undefined): boolean {
  const { ConditionExpression: condition } = update;
  const value = reader(update, before ?? {});
  const term = (text: string): boolean => {
    const [, absent] = /^attribute_not_exists\((#\w+)\)$/.exec(text) ?? [];
    if (absent !== undefined) {
      return value(absent) === undefined;
    }
    const [, left, operator, right] = /^(#\w+) (=|>=|<) (:\w+)$/.exec(text) ?? [];
    if (left === undefined) {
      throw new Error(`The table in memory does not know ${text}`);
    }
    const [a, b] = [value(left), value(right!)!];
    if (a === undefined) {
      return false;
    }
    return { '=': a === b, '<': a < b, '>=': a >= b }[operator!]!;
  };
  const either = (text: string) => text.split(' OR ').some(term);
  return (
    condition === undefined ||
    condition.split(' AND ').every((part) => either(part.startsWith('(') ? part.slice(1, -1) : part))
  );
}

function applied(update: Update, before: Item): Item {
  const value = reader(update, before);
  const name = (token: string) => update.ExpressionAttributeNames?.[token] ?? token;
  const after = { ...before };
  const [, sets = '', removes = ''] =
    /^(?:SET (.*?))?\s*(?:REMOVE (.*))?$/.exec(update.UpdateExpression) ?? [];
  for (const set of sets.split(/, (?=#\w+ = )/).filter(Boolean)) {
    const [, target, source, addition] =
      /^(#\w+) = (:\w+|if_not_exists\(#\w+, :\w+\))(?: \+ (:\w+))?$/.exec(set) ?? [];
    if (target === undefined) {
      throw new Error(`The table in memory does not know ${set}`);
    }
    const [, kept, otherwise] = /^if_not_exists\((#\w+), (:\w+)\)$/.exec(source!) ?? [];
    const base = kept === undefined ? value(source!)! : (value(kept) ?? value(otherwise!)!);
    after[name(target)] = { N: addition === undefined ? String(base) : sumOf(base, value(addition)!) };
  }
  for (const token of removes.split(', ').filter(Boolean)) {
    delete after[name(token)];
  }
  return after;
}

/** DynamoDB adds decimals, which a double only comes near to. */
const DIGITS = 8;

function sumOf(...numbers: number[]): string {
  const sum = numbers
    .map((number) => {
      const [, sign, whole, fraction = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(String(number))!;
      return BigInt(`${sign}${whole}${fraction.slice(0, DIGITS).padEnd(DIGITS, '0')}`);
    })
    .reduce((a, b) => a + b);
  const text = String(sum < 0n ? -sum : sum).padStart(DIGITS + 1, '0');
  const fraction = text.slice(-DIGITS).replace(/0+$/, '');
  return `${sum < 0n ? '-' : ''}${text.slice(0, -DIGITS)}${fraction && `.${fraction}`}`;
}
