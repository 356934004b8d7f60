/** One conditional write to an item of numbers, as the line's rules ask for it. */
import {
  type AttributeValue,
  ConditionalCheckFailedException,
  type DynamoDBClient,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { ledgerError } from '../runtime/aws-errors.ts';
import { sendOnce } from '../runtime/clients.ts';
import type { Item } from './item.ts';
import type { Change, Premise } from './rules.ts';

/**
 * Where an answer is lost the SDK writes again. Then a count that grows grows twice, which costs somebody an image of the day; one that
 * is taken from is written once, for otherwise more would be billed than was counted.
 *
 * @param returns the item after the write, or as it was before it
 * @returns the item, or the item that broke a premise and so prevented it; undefined where there is none, or
 *   DynamoDB did not send it along
 * @throws PipelineError `LedgerBusy`, `AccessDenied`, `MissingConfiguration`
 */
export async function writeItem(
  { dynamodb, table }: { dynamodb: DynamoDBClient; table: string },
  id: string,
  change: Change<string>,
  returns: 'ALL_NEW' | 'ALL_OLD' = 'ALL_NEW',
): Promise<{ item: Item } | { conflict: Item | undefined }> {
  const command = new UpdateItemCommand({
    TableName: table,
    Key: { id: { S: id } },
    ...expressions(change),
    ReturnValues: returns,
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
  });
  if (takesAway(change)) {
    sendOnce(command);
  }
  try {
    const { Attributes } = await dynamodb.send(command);
    return { item: Attributes ?? {} };
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) {
      return { conflict: error.Item };
    }
    throw ledgerError(error);
  }
}

function takesAway({ add = {} }: Change<string>): boolean {
  return Object.values(add).some((by = 0) => by < 0);
}

/** A change as DynamoDB's expressions; placeholders, because some attribute names are reserved words. */
function expressions({ premises, set = {}, add = {}, remove = [] }: Change<string>) {
  const names: Record<string, string> = {};
  const values: Record<string, AttributeValue> = {};
  const name = (attribute: string) => {
    names[`#${attribute}`] = attribute;
    return `#${attribute}`;
  };
  const value = (number: number) => {
    const placeholder = `:v${Object.keys(values).length}`;
    values[placeholder] = { N: String(number) };
    return placeholder;
  };

  const conditions = premises.map((premise) => condition(premise, name, value));
  const sets = [
    ...entries(set).map(([attribute, to]) => `${name(attribute)} = ${value(to)}`),
    ...entries(add).map(
      ([attribute, by]) =>
        `${name(attribute)} = if_not_exists(${name(attribute)}, ${value(0)}) + ${value(by)}`,
    ),
  ];
  const updates = [
    sets.length > 0 ? `SET ${sets.join(', ')}` : '',
    remove.length > 0 ? `REMOVE ${remove.map(name).join(', ')}` : '',
  ];
  return {
    UpdateExpression: updates.filter(Boolean).join(' '),
    ...(conditions.length > 0 && { ConditionExpression: conditions.join(' AND ') }),
    ExpressionAttributeNames: names,
    ...(Object.keys(values).length > 0 && { ExpressionAttributeValues: values }),
  };
}

function entries(numbers: Partial<Record<string, number>>): [string, number][] {
  return Object.entries(numbers).flatMap(([name, number]) => (number === undefined ? [] : [[name, number]]));
}

function condition(
  premise: Premise<string>,
  name: (attribute: string) => string,
  value: (number: number) => string,
): string {
  const attribute = name(premise.attribute);
  if ('atLeast' in premise) {
    return `${attribute} >= ${value(premise.atLeast)}`;
  }
  if ('below' in premise) {
    return `(attribute_not_exists(${attribute}) OR ${attribute} < ${value(premise.below)})`;
  }
  return premise.is === undefined
    ? `attribute_not_exists(${attribute})`
    : `${attribute} = ${value(premise.is)}`;
}
