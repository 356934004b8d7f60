import Sequencer from '@jest/test-sequencer';

type Tests = Parameters<Sequencer['sort']>[0];

/** What takes long for the size of its file, which is what Jest goes by where it has not seen a test before. */
const LONG = /test\/histories\//;

/** Begins with the long ones: one that comes last has the machine to itself, and keeps one core of it busy. */
export default class LongFirst extends Sequencer {
  override async sort(tests: Tests): Promise<Tests> {
    const isLong = (test: Tests[number]) => LONG.test(test.path.replaceAll('\\', '/'));
    return (await super.sort(tests)).sort((a, b) => Number(isLong(b)) - Number(isLong(a)));
  }
}
