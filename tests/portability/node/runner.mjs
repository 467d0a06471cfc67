// Runs cases in Node, with the example's library: a case a line on standard input, what came of it in lines on standard output.
//
//     node runner.mjs examples/hosts/node/component/spile.js
//     node runner.mjs examples/hosts/node/component/spile-streaming.js --streaming
//
// Keys are those of the contract, with `_` for `-`; what is absent is null. A variant is its tag, as the contract writes it, or
// `{tag: value}`.

import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { batches, check, describe, spec, SpileError } from '../../../examples/hosts/node/spile.js';

const component = pathToFileURL(process.argv[2]);
const streaming = process.argv[3] === '--streaming';
const shim = `@bytecodealliance/preview${streaming ? 3 : 2}-shim`;

print({
    runtime: 'Node',
    version: process.versions.node,
    parts: {
        '@bytecodealliance/jco-transpile': await versionOf('@bytecodealliance/jco-transpile'),
        [shim]: await versionOf(shim),
    },
});
for await (const line of createInterface({ input: process.stdin })) {
    const { name, ...call } = JSON.parse(line);
    try {
        await run(call);
    } catch (error) {
        if (!(error instanceof SpileError)) throw error;
        if (call.call === 'describe')
            print({ errors: (error.errors.length > 0 ? error.errors : [error]).map(failure) });
        else print({ error: failure(error) });
    }
    print({ end: name });
}

async function run({ call, config, secrets, params, bindings, resources, state, schema, batches: most, ...reading }) {
    const source = { component, streaming, secrets, params, bindings };
    if (call === 'spec') return print({ spec: await spec(source) });
    if (call === 'describe') return print({ described: plain(await describe(config, source)) });
    if (call === 'check') return print({ checked: await check(config, source).then(() => true) });

    const { window, max_rows: maxRows, max_bytes: maxBytes, load_id: loadId, until } = reading;
    const options = { ...source, resources, window, maxRows, maxBytes, loadId, until: until ?? undefined };
    const run = batches(config, { ...options, state: state ?? undefined, schema: schema ?? undefined });
    for (let read = 0; ; read += 1) {
        if (read === most) return run.return();
        const { done, value } = await run.next();
        if (done) return print({ done: plain(value) });
        print({ batch: batch(value) });
    }
}

function batch({ tables, state, schema, changes }) {
    return {
        tables: tables.map(({ table, resource, parent = null, rowCount, roots, ndjson }) => {
            return { table, resource, parent, rows: rowCount, roots: [...roots], ndjson };
        }),
        state,
        schema: schema ?? null,
        changes: plain(changes),
    };
}

function failure({ kind, reason, resource, pointer, advice, status, url, attempts, retryAfter }) {
    return plain({ kind, message: reason, resource, pointer, advice, status, url, attempts, retryAfter });
}

/** A value of the library as the contract names its parts. */
function plain(value) {
    if (value instanceof SpileError) return failure(value);
    if (Array.isArray(value)) return value.map(plain);
    if (typeof value !== 'object' || value === null) return value ?? null;
    if ('tag' in value) return 'val' in value ? { [value.tag]: plain(value.val) } : value.tag;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [snakeCase(key), plain(item)]));
}

function snakeCase(name) {
    return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function print(value) {
    // A long integer is a number in JSON, but none that JSON.stringify writes.
    const text = JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? `bigint ${item}` : item));
    console.log(text.replace(/"bigint (-?\d+)"/g, '$1'));
}

async function versionOf(dependency) {
    const file = new URL(`../../../examples/hosts/node/node_modules/${dependency}/package.json`, import.meta.url);
    return JSON.parse(await readFile(file, 'utf8')).version;
}
