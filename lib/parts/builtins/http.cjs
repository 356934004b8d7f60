// Not by an import: an ES module's import of `http` asks for each of its exports at once, and one of them is all of undici, a
// quarter of a function's start.
module.exports = process.getBuiltinModule('node:http');
