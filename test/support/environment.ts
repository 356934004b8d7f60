import vm from 'node:vm';
import { TestEnvironment as NodeEnvironment } from 'jest-environment-node';

const { createContext, compileFunction } = vm;

/** By file: what V8 made of the packages' modules, Jest's own among them, each of which is compiled anew for every test file. */
const compiled = new Map<string, Buffer>();

vm.compileFunction = (code, params, options) => {
  const file = options?.filename ?? '';
  const cachedData = compiled.get(file);
  if (cachedData || !file.includes('/node_modules/')) {
    return compileFunction(code, params, { ...options, ...(cachedData && { cachedData }) });
  }
  const made = compileFunction(code, params, { ...options, produceCachedData: true });
  if (made.cachedData) {
    compiled.set(file, made.cachedData);
  }
  return made;
};

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
