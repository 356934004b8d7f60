// Not by an import: an ES module's import of `http` asks for each of its exports at once, and with one of them comes all of
// undici, which every cold start would pay for.
module.exports = process.getBuiltinModule('node:http');
