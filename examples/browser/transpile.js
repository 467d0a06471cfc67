// Makes the folder `component/` of the component, all that the page loads beside its own files: `node transpile.js [spile.wasm]`.

import { cp } from 'node:fs/promises';
import { transpile, writeFiles } from '@bytecodealliance/jco-transpile';

const [wasm = 'spile.wasm'] = process.argv.slice(2);

const { files } = await transpile(wasm, {
    name: 'spile',
    outDir: 'component',
    // Calls that may block are suspended while JavaScript goes on (JSPI).
    asyncMode: 'jspi',
    asyncWasiImports: [],
    asyncExports: ['spile:connector/source@0.1.0#check', 'spile:connector/source@0.1.0#[method]reader.next'],
    map: {
        'wasi:clocks/*': './preview2-shim/clocks.js#*',
        'wasi:http/*': '../http.js#*',
        'wasi:io/*': './preview2-shim/io.js#*',
        'wasi:random/*': './preview2-shim/random.js#*',
    },
    emitTypescriptDeclarations: false,
});
await writeFiles(files);
await cp('node_modules/@bytecodealliance/preview2-shim/dist/browser', 'component/preview2-shim', { recursive: true });
console.log(`${wasm} → component/spile.js`);
