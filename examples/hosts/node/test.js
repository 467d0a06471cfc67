// Reads the mock API, whose program is named by the environment variable `SPILE_MOCK_API`: `npm test`.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parse } from './ndjson.js';
import * as spile from './spile.js';

const { SpileError } = spile;

const program = process.env.SPILE_MOCK_API;
assert.ok(program, 'SPILE_MOCK_API must name the program of the mock API');

// Which component is tried: that of WASI 0.2, or with SPILE_STREAMING=1 that of WASI 0.3.
const streaming = process.env.SPILE_STREAMING === '1';
const spec = (options) => spile.spec({ streaming, ...options });
const describe = (config, options) => spile.describe(config, { streaming, ...options });
const check = (config, options) => spile.check(config, { streaming, ...options });
const batches = (config, options) => spile.batches(config, { streaming, ...options });
const rows = (config, options) => spile.rows(config, { streaming, ...options });

const params = { user_id: 'acme' };
const secrets = { api_key: 'mock-token' };
const folder = new URL('.', import.meta.url);

/** Serves the mock API until the test ends. `get` asks it for what it knows of itself. */
async function serve(context, ...faults) {
    const api = spawn(program, [
        '--token',
        secrets.api_key,
        '--user',
        params.user_id,
        '--until-stdin-closes',
        ...faults,
    ]);
    context.after(async () => {
        api.stdin.end();
        await once(api, 'close');
    });
    const [line] = await once(createInterface({ input: api.stdout }), 'line');
    const url = line.replace('listening on ', '');
    const config = JSON.parse(await readFile(new URL('ai-platform.json', folder), 'utf8'));
    config.client.base_url = url;
    return { url, config, get: async (path) => (await fetch(url + path)).json() };
}

/** Reads to the end: the rows by table, the batches, and what the generator returned. */
async function read(config, options) {
    const run = batches(config, { params, secrets, ...options });
    const [read, tables] = [[], {}];
    for (;;) {
        const { done, value } = await run.next();
        if (done) return { batches: read, tables, summary: value };
        read.push(value);
        for (const { table, rows } of value.tables) (tables[table] ??= []).push(...rows);
    }
}

/** How many rows each table must have. */
async function expected({ get }) {
    const { tables } = await get('/_expected');
    return Object.fromEntries(
        Object.entries(tables).filter(([table]) => /^(applications|app_inputs)(__|$)/.test(table)),
    );
}

function idsOf(rows) {
    return rows.map(({ id }) => id);
}

function counted(tables) {
    return Object.fromEntries(Object.entries(tables).map(([table, rows]) => [table, rows.length]));
}

/** Runs a program of the library's user, and waits until it ends by itself. */
async function run(code, environment) {
    const file = new URL(`.program-${randomUUID()}.mjs`, folder);
    await writeFile(file, code);
    try {
        const options = { cwd: folder, env: { ...process.env, ...environment }, timeout: 60_000 };
        return (await promisify(execFile)(process.execPath, [fileURLToPath(file)], options)).stdout;
    } finally {
        await rm(file);
    }
}

/** For `assert.rejects`: a `SpileError` with these fields. */
function spileError(fields) {
    return (error) => {
        assert.ok(error instanceof SpileError, error);
        for (const [name, value] of Object.entries(fields)) {
            if (value instanceof RegExp) assert.match(error[name], value);
            else assert.deepEqual(error[name], value, name);
        }
        return true;
    };
}

test('spec is a JSON Schema', async () => {
    const schema = JSON.parse(await spec());
    assert.equal(schema.$schema, 'https://json-schema.org/draft/2020-12/schema');
    assert.ok(schema.properties.resources);
});

test('describe tells resources, origins and secrets, and needs no values of them', async (context) => {
    const { url, config } = await serve(context);
    const { resources, origins, slots, warnings } = await describe(config, { params });
    assert.deepEqual(
        resources.map(({ name, parent }) => [name, parent]),
        [
            ['applications', undefined],
            ['app_inputs', 'applications'],
        ],
    );
    assert.equal(resources[0].url, `${url}/v2/users/acme/apps`);
    assert.deepEqual(resources[0].writeDisposition.val.strategy, { tag: 'delete-insert', val: [] });
    assert.deepEqual([origins, slots], [[url], [{ name: 'api_key', origins: [url] }]]);
    assert.deepEqual(warnings, []);
});

test('describe shows every defect', async () => {
    await assert.rejects(describe({ client: {}, resorces: [] }), (error) => {
        assert.deepEqual(
            error.errors.map(({ pointer }) => pointer),
            ['/client', '/resorces'],
        );
        assert.ok(error.errors.every(({ message }) => error.message.includes(`\n- ${message}`)));
        return spileError({ kind: 'config', reason: 'the key `base_url` is missing', message: /^2 errors\n/ })(error);
    });
});

test('check makes one request', async (context) => {
    const { config, get } = await serve(context);
    await check(config, { params, secrets });
    assert.equal((await get('/_stats')).total, 1);
    await assert.rejects(
        check(config, { params, secrets: { api_key: 'wrong-token' } }),
        spileError({ kind: 'auth', status: 401 }),
    );
});

test('all rows come, and none twice', async (context) => {
    const api = await serve(context, '--apps', '25');
    const { tables, batches, summary } = await read(api.config, { maxRows: 100, loadId: 'a load' });
    assert.deepEqual(counted(tables), await expected(api));
    assert.equal(new Set(idsOf(tables.app_inputs)).size, tables.app_inputs.length);
    assert.ok(tables.app_inputs.every((row) => row._dlt_load_id === 'a load'));
    assert.ok(batches.length > 10);
    assert.ok(batches.every(({ tables }) => tables.every(({ rows, rowCount }) => rows.length === rowCount)));
    const inputs = summary.counts.find(({ resource }) => resource === 'app_inputs');
    assert.deepEqual([inputs.rows, inputs.retries], [tables.app_inputs.length, 0]);
    assert.deepEqual(summary.warnings, []);
});

test('rows come with their tables', async (context) => {
    const api = await serve(context);
    const tables = {};
    for await (const [table, row] of rows(api.config, { params, secrets })) (tables[table] ??= []).push(row);
    assert.deepEqual(counted(tables), await expected(api));
    const [{ resource, parent, roots, newColumns, rows: tags }] = (await read(api.config, {})).batches[0].tables.filter(
        ({ table }) => table === 'applications__tags',
    );
    assert.deepEqual([resource, parent, roots.length], ['applications', 'applications', tags.length]);
    assert.deepEqual(newColumns[0], { name: 'value', dataType: { tag: 'text' }, nullable: true });
});

test('only the resources that are asked for come', async (context) => {
    const { config } = await serve(context);
    const { tables } = await read(config, { resources: ['app_inputs'] });
    assert.equal(tables.app_inputs.length, 150);
    assert.equal(tables.applications, undefined);
});

test('long integers keep their digits', async (context) => {
    const { config } = await serve(context);
    const { batches } = await read(config, {});
    const tables = batches.flatMap(({ tables }) => tables);
    const digits = tables.flatMap(({ ndjson }) =>
        [...ndjson.matchAll(/"stored_bytes":(\d+)/g)].map(([, digits]) => digits),
    );
    const parsed = tables.flatMap(({ rows }) =>
        rows.map(({ stored_bytes }) => stored_bytes).filter((bytes) => bytes !== undefined),
    );
    assert.deepEqual(parsed.map(String), digits);
    assert.ok(parsed.some((bytes) => typeof bytes === 'bigint'));

    const tricky = String.raw`{"a":":12345678901234567,","b":"\"x\":12345678901234567,","c\"":-9223372036854775808,"d":9007199254740991,"e":1.5e300}`;
    assert.deepEqual(parse(`${tricky}\n`), [
        {
            a: ':12345678901234567,',
            b: '"x":12345678901234567,',
            'c"': -9223372036854775808n,
            d: 9007199254740991,
            e: 1.5e300,
        },
    ]);
});

test('a state leads to the rest, with nothing twice', async (context) => {
    const api = await serve(context);
    const whole = await read(api.config, { loadId: '1' });
    for (const after of [1, 3]) {
        const first = [];
        let schema;
        for await (const batch of batches(api.config, { params, secrets, maxRows: 20, loadId: '1' })) {
            first.push(batch);
            schema = batch.schema ?? schema;
            if (first.length === after) break;
        }
        const rest = await read(api.config, { state: first.at(-1).state, schema, loadId: '1' });
        const all = {};
        for (const { table, rows } of [...first, ...rest.batches].flatMap(({ tables }) => tables)) {
            (all[table] ??= []).push(...rows);
        }
        assert.deepEqual(counted(all), counted(whole.tables));
        assert.deepEqual(idsOf(all.app_inputs), idsOf(whole.tables.app_inputs));
    }
});

test('faults pass: refusals, errors, and responses that break off', async (context) => {
    for (const fault of [
        ['--too-many-every', '5', '--retry-after', '0'],
        ['--error-every', '4'],
        ['--truncate-every', '4'],
    ]) {
        const api = await serve(context, ...fault);
        api.config.client.error_handler = { max_retries: 5, backoff_factor: 0.01 };
        const { tables, summary } = await read(api.config, {});
        assert.deepEqual(counted(tables), await expected(api), fault[0]);
        assert.ok(
            summary.counts.some(({ retries }) => retries > 0),
            fault[0],
        );
    }
});

test('a wait is slept through', async (context) => {
    const { config } = await serve(context, '--too-many-every', '6', '--retry-after', '1');
    const { tables } = await read(config, {});
    assert.equal(tables.app_inputs.length, 150);
});

test('failures tell what, where and how often', async (context) => {
    const limited = await serve(context, '--too-many-forever', 'app_inputs', '--retry-after', '0');
    limited.config.client.error_handler = { max_retries: 1 };
    const url = `${limited.url}/v2/users/acme/apps/app-0/inputs?page=1&per_page=20`;
    const fields = {
        kind: 'rate-limited',
        resource: 'app_inputs',
        status: 429,
        attempts: 2,
        retryAfter: 0,
        url,
        errors: [],
    };
    await assert.rejects(
        read(limited.config, {}),
        spileError({
            ...fields,
            message: /status 429 \(rate-limited, resource `app_inputs`, HTTP 429, 2 attempts, http/,
        }),
    );

    const broken = await serve(context, '--truncate-every', '1');
    broken.config.client.error_handler = { max_retries: 0 };
    await assert.rejects(read(broken.config, {}), spileError({ kind: 'transient', reason: /broke off/ }));

    await assert.rejects(read(limited.config, { state: 'no state' }), spileError({ kind: 'config', message: /state/ }));
});

test('a component that is not there is told', async () => {
    const component = new URL('nowhere/spile.js', folder);
    await assert.rejects(
        spec({ component }),
        spileError({ kind: 'config', reason: /nowhere/, advice: /npm run transpile/ }),
    );
});

test('secrets without a value are told by name, and nothing is sent', async (context) => {
    const { config, get } = await serve(context);
    config.client.headers = { 'x-team': { secret: 'team' } };
    await assert.rejects(read(config, { secrets: {} }), (error) => {
        assert.deepEqual(
            error.errors.map(({ pointer }) => pointer),
            ['/client/auth/token', '/client/headers/x-team'],
        );
        return spileError({
            kind: 'config',
            message: /the secret `api_key` has no value[^]*the secret `team` has no value/,
        })(error);
    });
    await assert.rejects(check(config, { params, secrets }), spileError({ reason: 'the secret `team` has no value' }));
    assert.equal((await get('/_stats')).total, 0);
});

test('secrets do not appear in errors', async (context) => {
    const { config } = await serve(context);
    config.resources[0].endpoint.params = { search: { secret: 'search' } };
    const search = 'plain & (odd) "söcret"';
    await assert.rejects(read(config, { secrets: { api_key: 'wrong-token', search } }), (error) => {
        assert.match(error.url, /search=\*\*\*/);
        assert.doesNotMatch(JSON.stringify([error, error.message, error.stack]), /wrong-token|plain|odd|cret/);
        return spileError({ kind: 'auth' })(error);
    });
});

test('the event loop stays free, and a signal ends a call that blocks', async (context) => {
    const { config } = await serve(context, '--latency-ms', '60000');
    const reason = new Error('enough');
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 300);
    const options = { secrets, params, signal: controller.signal };
    await assert.rejects(read(config, options), reason);
    await assert.rejects(check(config, options), reason);
});

test('answers that come too late are not taken', async (context) => {
    const { config, get } = await serve(context, '--latency-ms', '400');
    config.client.timeouts = { total: 0.2 };
    config.client.error_handler = { max_retries: 2, backoff_factor: 0.3 };
    const reason = /took too long/;
    await assert.rejects(read(config, {}), spileError({ kind: 'transient', reason, attempts: 3 }));
    assert.equal((await get('/_stats')).total, 3);
});

test('a reader that is left while it waits asks for no more', async (context) => {
    const { config, get } = await serve(context, '--too-many-every', '2', '--retry-after', '2');
    const controller = new AbortController();
    const reading = read(config, { maxRows: 1, signal: controller.signal });
    setTimeout(() => controller.abort(new Error('enough')), 700);
    await assert.rejects(reading, /enough/);
    // What was under way then has come.
    await sleep(1500);
    const { total } = await get('/_stats');
    await sleep(2500);
    assert.equal((await get('/_stats')).total, total);
});

test('what HTTP has no word for is told', async (context) => {
    const api = createServer((_, response) => response.writeHead(999).end('{}'));
    api.listen(0, '127.0.0.1');
    await once(api, 'listening');
    context.after(() => api.close());
    const { config } = await serve(context);
    config.client.base_url = `http://127.0.0.1:${api.address().port}`;
    config.client.error_handler = { max_retries: 0 };
    await assert.rejects(read(config, {}), SpileError);
});

test('a reader that is left leaves nothing running', async (context) => {
    const { config, get } = await serve(context, '--inputs', '2000');
    const beginning = `
    import { batches, rows } from './spile.js';
    const [config, options] = ${JSON.stringify([config, { params, secrets, maxRows: 1, streaming }])};`;
    const leaving = await run(`${beginning}
    for await (const [table] of rows(config, options)) { console.log(table); break; }`);
    assert.equal(leaving, 'applications\n');
    const asked = (await get('/_stats')).total;
    assert.ok(asked < 20, `${asked} requests`);

    // On the event loop, what waits for a reader that was not left keeps the process alive.
    if (streaming) return;
    const forgetting = await run(`${beginning}
    const { value } = await batches(config, options).next();
    console.log(value.tables[0].rowCount);`);
    assert.equal(forgetting, '1\n');
});

test('the programs of README.md and the example run', { skip: streaming }, async (context) => {
    const { config } = await serve(context);
    const temporary = await mkdtemp(join(tmpdir(), 'spile-'));
    context.after(() => rm(temporary, { recursive: true }));
    const file = join(temporary, 'config.json');
    await writeFile(file, JSON.stringify(config));

    const readme = await readFile(new URL('README.md', folder), 'utf8');
    const programs = [...readme.matchAll(/```js\n([^]*?)```/g)].map(([, program]) => program);
    programs.push(await readFile(new URL('example.js', folder), 'utf8'));
    assert.ok(programs.length > 3);
    for (const program of programs) {
        assert.match(program, /'ai-platform.json'/);
        const code = program
            .replaceAll("'ai-platform.json'", JSON.stringify(file))
            .replaceAll("'state.json'", JSON.stringify(join(temporary, 'state.json')));
        assert.notEqual(await run(code, { API_KEY: secrets.api_key }), '', program);
    }
});
