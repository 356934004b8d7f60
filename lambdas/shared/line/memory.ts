/** Ids beyond which a function begins to remember anew. */
const MAX_REMEMBERED = 1_000;

/** What a function remembers by id between its invocations; it forgets all of it when it becomes too much. */
export function memory<Value>() {
  const values = new Map<string, Value>();
  return {
    get: (id: string) => values.get(id),
    set(id: string, value: Value): void {
      if (values.size >= MAX_REMEMBERED && !values.has(id)) {
        values.clear();
      }
      values.set(id, value);
    },
  };
}
