import { memory } from '../../../../../lambdas/shared/line/memory.ts';

test('a thousand are remembered, and one more is where it begins anew', () => {
  const remembered = memory<number>();
  const ids = Array.from({ length: 1_000 }, (_, i) => `id-${i}`);
  for (const [i, id] of ids.entries()) {
    remembered.set(id, i);
  }
  expect(ids.map(remembered.get)).toEqual([...ids.keys()]);
  // What is known already takes no more room.
  remembered.set('id-0', -1);
  expect([remembered.get('id-0'), remembered.get('id-999')]).toEqual([-1, 999]);
  remembered.set('one more', 1_000);
  expect(ids.map(remembered.get).filter((value) => value !== undefined)).toEqual([]);
  expect(remembered.get('one more')).toBe(1_000);
});
