// Independent validators, called by test_schemas.py.
//   validate.mjs asyncapi FILE    AsyncAPI's own parser; prints what it found wrong as JSON, and what it read
//   validate.mjs ajv SCHEMA < instances.json    Ajv's verdicts over an array of instances, as a JSON array of booleans
//   validate.mjs meta SCHEMA...   Ajv in strict mode: the schemas compile and their examples are valid
import {readFileSync} from 'node:fs';
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

const read = file => JSON.parse(readFileSync(file, 'utf8'));
const make = strict => {
  const ajv = new Ajv2020.default({strict, strictRequired: false, strictTypes: false, allErrors: true, allowUnionTypes: true});
  addFormats.default(ajv);
  return ajv;
};

async function asyncapi(file) {
  const {Parser, fromFile} = await import('@asyncapi/parser');
  const parser = new Parser();
  const {document, diagnostics} = await fromFile(parser, file).parse();
  const told = document && {
    version: document.version(),
    channels: document.channels().all().map(c => c.address()),
    operations: document.operations().all().map(o => `${o.action()} ${o.channels().all()[0].address()}`),
    messages: document.allMessages().all().map(m => m.id()),
  };
  console.log(JSON.stringify({wrong: diagnostics.filter(d => d.severity <= 1), hints: diagnostics.filter(d => d.severity > 1).map(d => d.message), document: told}));
}

const [verb, ...files] = process.argv.slice(2);
if (verb === 'asyncapi') {
  await asyncapi(files[0]);
} else if (verb === 'ajv') {
  const check = make(false).compile(read(files[0]));
  console.log(JSON.stringify(JSON.parse(readFileSync(0, 'utf8')).map(i => check(i))));
} else if (verb === 'meta') {
  for (const file of files) {
    const schema = read(file), check = make(true).compile(schema);
    for (const example of schema.examples ?? [])
      if (!check(example)) throw new Error(`${file}: ${JSON.stringify(check.errors)}`);
    console.log(`${file}: compiles in strict mode, ${(schema.examples ?? []).length} examples valid`);
  }
} else {
  throw new Error(`no verb ${verb}`);
}
