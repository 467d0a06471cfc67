// Builds the connector, and reads the API of `api.mjs` with it: `npm test`. The environment variable `SPILE` may name
// the program; else it is `spile`.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { entry, serve } from './api.mjs';

const PROGRAM = process.env.SPILE ? resolve(process.env.SPILE) : 'spile';
const FILE = 'pipeline.yaml';
const TOKEN = 'demo-token';

let shared, folder, api;

before(async () => {
    await import('./build.mjs');
    shared = await mkdtemp(join(tmpdir(), 'journal-'));
});

after(() => rm(shared, { recursive: true }));

beforeEach(async (context) => {
    folder = await mkdtemp(join(shared, 'run-'));
    for (const file of [FILE, 'connector.wasm']) await cp(file, join(folder, file));
    api = await serve({ token: TOKEN });
    context.after(() => api.close());
});

/** Runs the program on the API: its exit code, and what it printed. */
function spile(command, ...more) {
    const own = ['--component', 'connector.wasm', '--base-url', api.url, '--allow-private', api.url];
    // Compiled code is kept for all tests, and what was approved for one.
    const folders = { XDG_CACHE_HOME: join(shared, 'cache'), XDG_STATE_HOME: join(folder, 'state') };
    const env = { ...process.env, ...folders, SPILE_SECRET_API_KEY: TOKEN, SPILE_POLICY: undefined };
    const ended = (done) => (error, stdout, stderr) => done({ code: error?.code ?? 0, stdout, stderr });
    return new Promise((done) => execFile(PROGRAM, [command, ...own, ...more], { cwd: folder, env }, ended(done)));
}

const TO = ['--to', 'parquet:out', '--dataset', 'tables'];

/** Reads into Parquet files: the summary. */
async function run(...more) {
    const { code, stdout, stderr } = await spile('run', ...TO, '--summary', 'json', FILE, ...more);
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout);
}

/** What a run must fail with: an exit code, and texts that it prints. */
async function fails(code, texts, ...more) {
    const outcome = await spile('run', ...TO, FILE, ...more);
    assert.equal(outcome.code, code, outcome.stderr);
    for (const text of texts) assert.ok(outcome.stderr.includes(text), `${text}: ${outcome.stderr}`);
}

/** The rows of the table, in the order of their sequence numbers. */
async function read() {
    const table = join(folder, 'out', 'tables', 'journal');
    const rowsOf = async (name) =>
        parquetReadObjects({ file: await asyncBufferFromFile(join(table, name)), compressors });
    const all = await Promise.all((await readdir(table)).map(rowsOf));
    return all.flat().sort((one, other) => Number(one.seq - other.seq));
}

/** The entries of these places as rows of the table, without the columns of Spile. */
function entries(first, end) {
    return Array.from({ length: end - first }, (_, place) => {
        const [seq, id, at, kind, amount, details] = entry(first + place);
        return { seq: BigInt(seq), id, at: new Date(at), kind, amount, details };
    });
}

function withoutSystem(rows) {
    return rows.map(({ _dlt_id, _dlt_load_id, ...row }) => row);
}

test('it asks for one origin, and for the credential there', async () => {
    const { code, stdout, stderr } = await spile('plan', '--json', FILE);
    assert.equal(code, 0, stderr);
    const { origins, secrets, resources } = JSON.parse(stdout);
    assert.deepEqual(
        origins.map(({ origin }) => origin),
        [api.url],
    );
    assert.deepEqual(secrets, { '/client/auth': [api.url] });
    assert.equal(resources[0].url, `${api.url}/journal?after=0&limit=500`);
    assert.deepEqual(api.asked, []);
});

test('a check makes one request', async () => {
    const check = () => spile('check', FILE);
    const { code, stderr } = await check();
    assert.equal(code, 0, stderr);
    assert.deepEqual(api.asked, ['/journal?after=0&limit=1']);
    api.fault = () => [401, {}, ''];
    assert.equal((await check()).code, 3);
});

test('every entry comes as it is, and the next run brings what is new', async () => {
    const { tables, resources } = await run();
    assert.equal(tables[0].inserted, 2500);
    assert.equal(resources[0].pages, 5);
    const first = await read();
    assert.deepEqual(withoutSystem(first), entries(0, 2500));
    assert.equal(new Set(first.map(({ _dlt_id }) => _dlt_id)).size, 2500);

    api.entries += 20;
    assert.equal((await run()).tables[0].inserted, 20);
    const all = await read();
    assert.deepEqual(withoutSystem(all), entries(0, 2520));
    assert.equal(new Set(all.map(({ _dlt_load_id }) => _dlt_load_id)).size, 2);
    assert.equal((await run()).tables[0].inserted, 0);
});

test('a run that was cut off goes on with the next entry', async () => {
    const rows = Array.from({ length: 500 }, (_, place) => entry(place));
    rows[300][4] = 'much';
    const broken = { columns: ['seq', 'id', 'at', 'kind', 'amount', 'details'], rows, next: null };
    api.fault = () => [200, {}, JSON.stringify(broken)];
    await fails(4, ['`amount` is "much", which is no double'], '--commit-rows', '70');
    api.fault = () => undefined;
    await run('--commit-rows', '70');
    // It had handed over four batches of 70 rows, a part of the page.
    assert.equal(api.asked[1], `/journal?after=${entry(279)[0]}&limit=500`);
    assert.deepEqual(withoutSystem(await read()), entries(0, 2500));
});

test('a few rows are shown', async () => {
    const { code, stdout, stderr } = await spile('preview', '--rows', '3', FILE, 'journal');
    assert.equal(code, 0, stderr);
    assert.match(stdout, /entry-0 .*"№ 0"[^]*entry-2/);
    assert.doesNotMatch(stdout, /entry-3/);
});

test('flags say where a run begins and ends', async () => {
    const [since, until] = [entry(600)[0], entry(1300)[0]];
    await run('--since', since, '--until', until);
    assert.deepEqual(withoutSystem(await read()), entries(600, 1300));
    // What was left out before is not lost.
    assert.equal((await run('--until', since)).tables[0].inserted, 600);
    assert.equal((await run('--since', entry(2400)[0])).tables[0].inserted, 100);
    await run('--full-refresh');
    assert.deepEqual(withoutSystem(await read()), entries(0, 2500));
    await fails(2, ['"2026-01-01" is no sequence number'], '--since', '2026-01-01');
});

test('what may pass is waited for', async () => {
    const faults = {
        2: [429, { 'retry-after': '1' }, ''],
        4: [503, { 'retry-after': '0' }, ''],
        6: [200, { 'content-length': '9999', connection: 'close' }, '{'],
    };
    api.fault = () => faults[api.asked.length];
    const { resources } = await run();
    assert.deepEqual([resources[0].requests, resources[0].retries, resources[0].waits], [8, 3, 3]);
    assert.deepEqual(withoutSystem(await read()), entries(0, 2500));
});

test('failures tell what, where and how often', async () => {
    const page = (rows, next) => JSON.stringify({ columns: ['seq', 'amount'], rows, next });
    for (const [fault, code, ...texts] of [
        [[401, {}, ''], 3, 'status 401', '/journal?after=0&limit=500'],
        [[403, {}, ''], 3, 'status 403'],
        [[404, {}, ''], 4, 'status 404', 'attempts: 1'],
        [[429, { 'retry-after': '0' }, ''], 4, 'status 429', 'attempts: 5'],
        [[500, { 'retry-after': 'Thu, 01 Jan 1970 00:00:00 GMT' }, ''], 4, 'status 500', 'attempts: 5'],
        [[200, {}, '<html>'], 4, 'the answer is not JSON'],
        [[200, {}, 'null'], 4, 'the answer is no page of entries'],
        [[200, {}, page([], '0')], 4, 'the page leads to itself'],
        [[200, {}, page([['1x', 1]], null)], 4, '`seq` is "1x", which is no bigint'],
        [[200, {}, page([['9223372036854775808', 1]], null)], 4, 'which is no bigint'],
        [[200, {}, page([['1', '']], null)], 4, '`amount` is "", which is no double'],
        [[200, {}, page([['2', 1], ['1', 1]], null)], 4, 'the entries are not in their order'],
    ]) {
        api.fault = () => fault;
        await fails(code, texts);
    }
});

test('what is wrong with a configuration is told, all at once and where it stands', async () => {
    const wrong = `
name: journal
source:
  client: { base_url: "", headers: { x-team: 5 }, timeout: 3 }
  tabel: journal
  page_size: 0
`;
    await writeFile(join(folder, FILE), wrong);
    const { code, stderr } = await spile('plan', FILE);
    assert.equal(code, 2);
    for (const text of [
        '/source/client/headers/x-team',
        'unknown key `timeout`',
        'unknown key `tabel`',
        'this is no whole number from 1 to 10,000',
        '4 errors',
    ]) {
        assert.ok(stderr.includes(text), stderr);
    }
});

test('a secret may stand in a header', async () => {
    const source = { client: { base_url: api.url, headers: { authorization: { secret: 'bearer' } } } };
    await writeFile(join(folder, FILE), JSON.stringify({ name: 'journal', source }));
    process.env.SPILE_SECRET_BEARER = `Bearer ${TOKEN}`;
    assert.equal((await run()).tables[0].inserted, 2500);
});
