import { createRequire } from 'node:module';

interface Refusal {
  body: { Item?: object };
}

interface Database {
  checkConditional(
    request: { ReturnValuesOnConditionCheckFailure?: string },
    item: object | undefined,
  ): Refusal | null | undefined;
}

interface Validation {
  types: Record<string, { type: string; enum: string[] }>;
}

const NAME = 'ReturnValuesOnConditionCheckFailure';

/**
 * Has dynalite tell the item with a refused write that asks for it, as DynamoDB does and it does not:
 * https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html
 */
export function tellRefusedItems(): void {
  const require = createRequire(import.meta.url);
  const database = require('dynalite/db') as Database;
  for (const action of ['updateItem', 'putItem', 'deleteItem']) {
    const { types } = require(`dynalite/validations/${action}`) as Validation;
    if (types[NAME]) {
      return;
    }
    types[NAME] = { type: 'String', enum: ['ALL_OLD', 'NONE'] };
  }
  const { checkConditional } = database;
  database.checkConditional = (request, item) => {
    const refusal = checkConditional(request, item);
    if (refusal && item && request[NAME] === 'ALL_OLD') {
      refusal.body.Item = item;
    }
    return refusal;
  };
}
