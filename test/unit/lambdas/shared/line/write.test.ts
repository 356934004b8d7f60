import { GetItemCommand } from '@aws-sdk/client-dynamodb';
import type { Change } from '../../../../../lambdas/shared/line/rules.ts';
import { writeItem } from '../../../../../lambdas/shared/line/write.ts';
import { fakeClient } from '../../../../support/fake-client.ts';
import { loseAnswers } from '../../../../support/lost-answers.ts';
import { useTable } from '../../../../support/table.ts';

const table = useTable('items');
let isAnswerLost = (): boolean => false;
beforeAll(() => loseAnswers(table.client, () => isAnswerLost()));
afterEach(() => {
  isAnswerLost = () => false;
});

const write = (id: string, change: Change<string>, returns?: 'ALL_OLD') =>
  writeItem({ dynamodb: table.client, table: 'items' }, id, change, returns);

async function imagesOf(id: string): Promise<string | undefined> {
  const { Item } = await table.client.send(
    new GetItemCommand({ TableName: 'items', Key: { id: { S: id } }, ConsistentRead: true }),
  );
  return Item?.images?.N;
}

describe('what is written', () => {
  test('is set, added to what there is or to nothing, and removed; what is undefined is not written', async () => {
    const first = await write('all', {
      premises: [],
      set: { day: 5, cap: undefined },
      add: { images: 2, photos: undefined },
    });
    expect(first).toEqual({ item: { id: { S: 'all' }, day: { N: '5' }, images: { N: '2' } } });
    const second = await write('all', { premises: [], add: { images: 3 }, remove: ['day'] });
    expect(second).toEqual({ item: { id: { S: 'all' }, images: { N: '5' } } });
  });

  test('is told as it was before where that is asked for', async () => {
    await write('before', { premises: [], set: { day: 1 } });
    const written = await write('before', { premises: [], set: { day: 2 } }, 'ALL_OLD');
    expect(written).toEqual({ item: { id: { S: 'before' }, day: { N: '1' } } });
  });

  test('has an expression of one kind where there is one', async () => {
    const dynamodb = fakeClient<typeof table.client>({ UpdateItem: () => ({}) });
    const deps = { dynamodb: dynamodb.client, table: 'items' };
    await expect(writeItem(deps, 'a', { premises: [], remove: ['day'] })).resolves.toEqual({ item: {} });
    expect(dynamodb.calls).toEqual([
      [
        'UpdateItem',
        {
          TableName: 'items',
          Key: { id: { S: 'a' } },
          UpdateExpression: 'REMOVE #day',
          ExpressionAttributeNames: { '#day': 'day' },
          ReturnValues: 'ALL_NEW',
          ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
        },
      ],
    ]);
  });
});

describe('premises', () => {
  const holds = async (premise: Change<string>['premises'][number], day: number | undefined) => {
    const id = JSON.stringify([premise, day]);
    if (day !== undefined) {
      await write(id, { premises: [], set: { day } });
    }
    return 'item' in (await write(id, { premises: [premise], set: { written: 1 } }));
  };

  test.each([
    [{ attribute: 'day', is: 5 }, [5], [4, 6, undefined]],
    [{ attribute: 'day', is: undefined }, [undefined], [0, 5]],
    [{ attribute: 'day', below: 5 }, [4, undefined], [5, 6]],
    [{ attribute: 'day', atLeast: 5 }, [5, 6], [4, undefined]],
  ])('%j holds of some and of no others', async (premise, some, others) => {
    for (const day of some) {
      expect(await holds(premise, day)).toBe(true);
    }
    for (const day of others) {
      expect(await holds(premise, day)).toBe(false);
    }
  });

  test('hold together, and the item that contradicts comes back', async () => {
    await write('both', { premises: [], set: { day: 5, cuts: 1 } });
    const change: Change<string> = {
      premises: [
        { attribute: 'day', is: 5 },
        { attribute: 'cuts', is: 2 },
      ],
      set: { day: 6 },
    };
    await expect(write('both', change)).resolves.toEqual({
      conflict: { id: { S: 'both' }, day: { N: '5' }, cuts: { N: '1' } },
    });
    await expect(write('nobody', change)).resolves.toEqual({ conflict: undefined });
  });
});

describe('where DynamoDB’s answer is lost', () => {
  const once = () => {
    let isFirst = true;
    return () => {
      const isLost = isFirst;
      isFirst = false;
      return isLost;
    };
  };

  test('what takes from a count is sent once, and nobody knows whether it was carried out', async () => {
    await write('less', { premises: [], set: { images: 9, day: 1 } });
    isAnswerLost = once();
    await expect(write('less', { premises: [], add: { images: -1, day: 1 } })).rejects.toMatchObject({
      name: 'LedgerBusy',
    });
    await expect(imagesOf('less')).resolves.toBe('8');
  });

  test.each([0, 1])('what adds %i is sent again', async (images) => {
    const id = `more-${images}`;
    await write(id, { premises: [], set: { images: 9 } });
    isAnswerLost = once();
    await write(id, { premises: [], add: { images } });
    await expect(imagesOf(id)).resolves.toBe(String(9 + 2 * images));
  });
});
