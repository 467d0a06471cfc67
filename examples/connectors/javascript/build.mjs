// Makes `connector.wasm`: makes one module of all, and a component of that and of an engine that runs it.

import { componentize } from '@bytecodealliance/componentize-js';
import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { build } from 'rolldown';

const { config } = JSON.parse(await readFile('package.json', 'utf8'));
const bundle = resolve('build/connector.js');
await build({ input: 'connector.js', external: /^wasi:/, output: { file: bundle }, logLevel: 'warn' });

const { component } = await componentize({
    sourcePath: bundle,
    witPath: resolve(config.wit),
    worldName: 'connector',
    // A connector may import HTTP, I/O, clocks and randomness, and nothing else. The engine's console needs more, and so
    // does its clock, with which a stream for errors comes along. `http.js` and `contract.js` do without them.
    disableFeatures: ['stdio', 'clocks', 'http', 'fetch-event'],
});
await writeFile('connector.wasm', component);
console.log(`connector.wasm: ${(component.length / 1e6).toFixed(1)} MB`);
