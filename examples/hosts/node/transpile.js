// Makes a JavaScript module of the component: `node transpile.js [spile.wasm]` makes `component/spile.js`, and
// `node transpile.js --streaming [spile-streaming.wasm]` makes `component/spile-streaming.js`, of the component of WASI 0.3.

import { parseArgs } from 'node:util';
import { transpile, writeFiles } from '@bytecodealliance/jco-transpile';

const { values, positionals } = parseArgs({ options: { streaming: { type: 'boolean' } }, allowPositionals: true });
const name = values.streaming ? 'spile-streaming' : 'spile';
const [wasm = `${name}.wasm`] = positionals;

const { files } = await transpile(wasm, {
    name,
    outDir: 'component',
    ...(values.streaming
        ? { asyncMode: 'jspi', instantiation: 'async' }
        : { map: { 'wasi:http/*': '../http.js#*' } }),
    emitTypescriptDeclarations: false,
});
await writeFiles(files);
console.log(`${wasm} → component/${name}.js`);
