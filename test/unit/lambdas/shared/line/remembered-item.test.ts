/** What a function remembers of an item, and how often it looks and writes until a decision stands. */
import { ConditionalCheckFailedException, type DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { memory } from '../../../../../lambdas/shared/line/memory.ts';
import {
  MAX_RACES,
  type RememberedItem,
  rememberedLedger,
  rememberedTurns,
  settle,
} from '../../../../../lambdas/shared/line/remembered-item.ts';
import type { Change, LedgerState } from '../../../../../lambdas/shared/line/rules.ts';
import type { EventTurns } from '../../../../../lambdas/shared/line/turns.ts';
import { fakeClient } from '../../../../support/fake-client.ts';
import { memoryTable } from '../../../../support/memory-table.ts';

const NOW = Date.UTC(2026, 4, 1, 12);
const set = (values: LedgerState): Change => ({ premises: [], set: values });

describe('the ledger’s item', () => {
  function known(item?: 'search-faces') {
    let nowMs = NOW;
    const dynamodb = memoryTable();
    const deps = { dynamodb, table: 'ledger', now: () => nowMs, ...(item && { item }) };
    return {
      ledger: rememberedLedger(deps),
      another: rememberedLedger(deps),
      wait: (ms: number) => {
        nowMs += ms;
      },
    };
  }

  test('is remembered as it was read or written last', async () => {
    const { ledger, another } = known();
    expect(ledger.name).toBe("the ledger's item");
    expect(ledger.seen()).toBeUndefined();
    await expect(ledger.load()).resolves.toEqual({});
    expect(ledger.seen()).toEqual({});
    await expect(ledger.write(set({ line_ms: 1 }))).resolves.toEqual({ after: { line_ms: 1 } });
    expect(ledger.seen()).toEqual({ line_ms: 1 });
    await another.write(set({ line_ms: 2 }));
    expect(ledger.seen()).toEqual({ line_ms: 1 });
    await ledger.load();
    expect(ledger.seen()).toEqual({ line_ms: 2 });
  });

  test('is recent for two seconds', async () => {
    const { ledger, another, wait } = known();
    await expect(ledger.recent()).resolves.toEqual({});
    await another.write(set({ line_ms: 2 }));
    wait(1_999);
    await expect(ledger.recent()).resolves.toEqual({});
    wait(1);
    await expect(ledger.recent()).resolves.toEqual({ line_ms: 2 });
  });

  test('that broke a premise is what is remembered of it', async () => {
    const { ledger, another } = known();
    await another.write(set({ cuts: 3 }));
    const change: Change = { premises: [{ attribute: 'cuts', is: 2 }], set: { cuts: 4 } };
    await expect(ledger.write(change)).resolves.toEqual({ conflict: { cuts: 3 } });
    expect(ledger.seen()).toEqual({ cuts: 3 });
  });

  test('is read where DynamoDB does not say what broke it', async () => {
    const { client, calls } = fakeClient<DynamoDBClient>({
      GetItem: () => ({ Item: { id: { S: 'index-faces' }, cuts: { N: '3' } } }),
      UpdateItem: () => {
        throw new ConditionalCheckFailedException({ $metadata: {}, message: 'refused' });
      },
    });
    const ledger = rememberedLedger({ dynamodb: client, table: 'ledger', now: () => NOW });
    await expect(ledger.write(set({ cuts: 4 }))).resolves.toEqual({ conflict: { cuts: 3 } });
    expect(calls.map(([command]) => command)).toEqual(['UpdateItem', 'GetItem']);
    expect(calls[1]![1]).toMatchObject({ Key: { id: { S: 'index-faces' } } });
  });

  test('is that of another quota where it is said', async () => {
    const { client, calls } = fakeClient<DynamoDBClient>({ GetItem: () => ({}) });
    await rememberedLedger({
      dynamodb: client,
      table: 'ledger',
      now: () => NOW,
      item: 'search-faces',
    }).load();
    expect(calls[0]![1]).toMatchObject({ Key: { id: { S: 'search-faces' } } });
  });
});

test('what is known of an event’s turns is shared by all who ask for it', async () => {
  const dynamodb = memoryTable();
  const turns = memory<EventTurns>();
  const item = rememberedTurns({ dynamodb, table: 'ledger' }, turns, 'event');
  expect(item.name).toBe('the item of event');
  expect(item.seen()).toBeUndefined();
  await item.write({ premises: [], set: { start: 7 } });
  expect(rememberedTurns({ dynamodb, table: 'ledger' }, turns, 'event').seen()).toEqual({ start: 7 });
  expect(rememberedTurns({ dynamodb, table: 'ledger' }, turns, 'other').seen()).toBeUndefined();
});

describe('to settle', () => {
  /** An item of which each write is answered by the next of these; the last is the answer from then on. */
  function item(seen: LedgerState | undefined, answers: ('after' | LedgerState)[] = ['after']) {
    const did: string[] = [];
    const fake: RememberedItem<LedgerState> = {
      name: 'the item',
      seen: () => seen,
      async load() {
        did.push('load');
        return { cuts: 100 };
      },
      async write({ set: { cuts = 0 } = {} }) {
        did.push(`write ${cuts}`);
        const answer = answers.length > 1 ? answers.shift()! : answers[0]!;
        return answer === 'after' ? { after: { cuts } } : { conflict: answer };
      },
    };
    return { fake, did };
  }
  const oneMore = ({ cuts = 0 }: LedgerState) => ({ change: set({ cuts: cuts + 1 }) });
  const refuseBelow = (least: number) => (state: LedgerState) =>
    (state.cuts ?? 0) < least
      ? { refused: 'BackfillWaits' as const, because: `${state.cuts} is too few` }
      : oneMore(state);

  test('on what is remembered is one write', async () => {
    const { fake, did } = item({ cuts: 5 });
    await expect(settle(fake, oneMore)).resolves.toEqual({
      decided: { change: set({ cuts: 6 }) },
      state: { cuts: 6 },
    });
    expect(did).toEqual(['write 6']);
  });

  test('on nothing that is remembered is a look first', async () => {
    const { fake, did } = item(undefined);
    await settle(fake, oneMore);
    expect(did).toEqual(['load', 'write 101']);
  });

  test('on what was looked at is not a look', async () => {
    const { fake, did } = item({ cuts: 5 });
    await settle(fake, oneMore, { looked: { cuts: 8 } });
    expect(did).toEqual(['write 9']);
  });

  test('on no change is no write', async () => {
    const { fake, did } = item({ cuts: 5 });
    await expect(settle(fake, () => ({ change: undefined }))).resolves.toEqual({
      decided: { change: undefined },
      state: { cuts: 5 },
    });
    expect(did).toEqual([]);
  });

  test('what another one wrote first is decided on anew', async () => {
    const { fake, did } = item({ cuts: 5 }, [{ cuts: 20 }, { cuts: 30 }, 'after']);
    await expect(settle(fake, oneMore)).resolves.toMatchObject({ state: { cuts: 31 } });
    expect(did).toEqual(['write 6', 'write 21', 'write 31']);
  });

  test('nobody is refused on what is remembered, which may be over', async () => {
    const { fake, did } = item({ cuts: 5 });
    await settle(fake, refuseBelow(50));
    expect(did).toEqual(['load', 'write 101']);
  });

  test.each<[what: string, seen: LedgerState | undefined, looked: LedgerState | undefined, did: string[]]>([
    ['what was read', { cuts: 5 }, undefined, ['load']],
    ['what was read first', undefined, undefined, ['load']],
    ['what was looked at', { cuts: 500 }, { cuts: 5 }, []],
  ])('a refusal on %s stands', async (_, seen, looked, expected) => {
    const { fake, did } = item(seen);
    await expect(settle(fake, refuseBelow(200), looked && { looked })).rejects.toMatchObject({
      name: 'BackfillWaits',
      message: expect.stringContaining('too few'),
    });
    expect(did).toEqual(expected);
  });

  test('and on what another one wrote', async () => {
    const { fake, did } = item({ cuts: 500 }, [{ cuts: 5 }]);
    await expect(settle(fake, refuseBelow(200))).rejects.toMatchObject({ name: 'BackfillWaits' });
    expect(did).toEqual(['write 501']);
  });

  test('a caller that loses twenty races comes back later', async () => {
    const { fake, did } = item({ cuts: 5 }, [{ cuts: 5 }]);
    await expect(settle(fake, oneMore)).rejects.toMatchObject({
      name: 'LedgerBusy',
      message: 'Lost 20 races for the item in a row',
    });
    expect(did).toHaveLength(20);
    expect(MAX_RACES).toBe(20);
  });
});
