/**
 * Sets the tests' clock: `ROLLCALL_TEST_CLOCK=2026-12-31T23:59:59.900Z npm test -- test/unit` begins every test file at that moment, from
 * which time goes on as ever. It is JavaScript's clock alone: the system, other processes and a database keep theirs.
 */
const { ROLLCALL_TEST_CLOCK: start } = process.env;

if (start !== undefined) {
  const System = Date;
  const aheadMs = System.parse(start) - System.now();
  if (Number.isNaN(aheadMs)) {
    throw new Error(`ROLLCALL_TEST_CLOCK is not a time: ${start}`);
  }
  const now = () => System.now() + aheadMs;
  // A proxy, so that everything else of a Date, `instanceof` included, stays the system's.
  globalThis.Date = new Proxy(System, {
    construct: (_, given: unknown[], target) =>
      Reflect.construct(System, given.length === 0 ? [now()] : given, target),
    apply: () => new System(now()).toString(),
    get: (_, name) => (name === 'now' ? now : Reflect.get(System, name)),
  });
}
