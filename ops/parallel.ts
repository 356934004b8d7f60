/** Calls of an operator at once: fast enough for thousands, and no burst that the pipeline would feel. */
const AT_ONCE = 16;

/** Does the work for every item, a few at a time; the results are in the items' order. */
export async function parallel<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results = new Array<Result>(items.length);
  const queue = items.entries();
  await Promise.all(
    Array.from({ length: Math.min(AT_ONCE, items.length) }, async () => {
      for (const [i, item] of queue) {
        results[i] = await work(item);
      }
    }),
  );
  return results;
}
