import Sequencer from '@jest/test-sequencer';

type Test = Parameters<InstanceType<typeof Sequencer>['sort']>[0] extends Iterable<infer Each> ? Each : never;

/** What takes long for the size of its file, which is what Jest goes by where it has not seen a test before. */
const LONG = /test\/histories\//;

/** Begins with the long ones: one that comes last has the machine to itself, and keeps one core of it busy. */
export default class LongFirst extends Sequencer {
  override async sort(tests: Test[]): Promise<Test[]> {
    const sorted = await super.sort(tests);
    const isLong = ({ path }: Test) => LONG.test(path.replaceAll('\\', '/'));
    return [...sorted.filter(isLong), ...sorted.filter((test) => !isLong(test))];
  }
}
