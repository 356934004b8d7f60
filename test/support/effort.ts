/** TEST_EFFORT: how many times as many cases the widest properties take as in `npm test`. */
const effort = Number(process.env.TEST_EFFORT ?? 1);

/** The number of cases of a property whose inputs are wider than a quick run can go through. */
export function cases(quick: number): number {
  return Math.ceil(quick * effort);
}
