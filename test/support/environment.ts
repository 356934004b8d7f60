import vm from 'node:vm';
import { TestEnvironment as NodeEnvironment } from 'jest-environment-node';

const { createContext } = vm;

/**
 * Jest's environment for Node.js, with a global object of its own kind: Jest's is a proxy, through which each `Math` or
 * `Number` of the code under test and of all that it imports is looked up anew, several hundred times slower.
 * https://nodejs.org/api/vm.html#vmconstantsdont_contextify
 */
export default class Environment extends NodeEnvironment {
  constructor(...options: ConstructorParameters<typeof NodeEnvironment>) {
    vm.createContext = () => createContext(vm.constants.DONT_CONTEXTIFY);
    try {
      super(...options);
    } finally {
      vm.createContext = createContext;
    }
  }
}
