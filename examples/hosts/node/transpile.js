// Makes the JavaScript module `component/spile.js` of the component: `node transpile.js [spile.wasm]`.

import { transpile, writeFiles } from '@bytecodealliance/jco-transpile';

const [wasm = 'spile.wasm'] = process.argv.slice(2);

const { files } = await transpile(wasm, {
    name: 'spile',
    outDir: 'component',
    map: { 'wasi:http/*': '../http.js#*' },
    emitTypescriptDeclarations: false,
});
await writeFiles(files);
console.log(`${wasm} → component/spile.js`);
