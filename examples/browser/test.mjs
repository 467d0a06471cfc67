// Drives the page in Chromium (`CHROMIUM`, /usr/bin/chromium if absent) against the mock API, whose program is named by the
// environment variable `SPILE_MOCK_API`: `npm test`. Leaves pictures in `screenshots/`.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { chromium } from 'playwright-core';
import { serve } from './cors-proxy.mjs';

const program = process.env.SPILE_MOCK_API;
assert.ok(program, 'SPILE_MOCK_API must name the program of the mock API');

const TOKEN = 'mock-token';
const FOLDER = new URL('.', import.meta.url);
const TYPES = { '.html': 'text/html', '.css': 'text/css', '.js': 'text/javascript', '.wasm': 'application/wasm' };
const FLAGS = [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
];

let browser, site;

before(async () => {
    const server = createServer(async ({ url }, response) => {
        const file = new URL(`.${url === '/' ? '/index.html' : url}`, FOLDER);
        const body = await readFile(file).catch(() => undefined);
        response.writeHead(body ? 200 : 404, { 'content-type': TYPES[extname(file.pathname)] ?? 'text/plain' });
        response.end(body);
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    site = { server, url: `http://127.0.0.1:${server.address().port}` };
    const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
    browser = await chromium.launch({ executablePath, headless: true, args: FLAGS });
});

after(async () => {
    await browser?.close();
    site?.server.closeAllConnections();
    site?.server.close();
});

/** The mock API, and a proxy before it that permits the page to read it. */
async function serveApi(context, ...faults) {
    const api = spawn(program, ['--token', TOKEN, '--user', 'acme', '--until-stdin-closes', ...faults]);
    const [line] = await once(createInterface({ input: api.stdout }), 'line');
    const direct = line.replace('listening on ', '');
    const proxy = await serve(0, direct);
    context.after(async () => {
        proxy.closeAllConnections();
        proxy.close();
        api.stdin.end();
        await once(api, 'close');
    });
    const get = async (path) => {
        const headers = { authorization: `Bearer ${TOKEN}` };
        return (await fetch(direct + path, { headers })).json();
    };
    return { direct, url: `http://127.0.0.1:${proxy.address().port}`, get };
}

/** The page, with the example's configuration for this API. It must not ask anyone else, and nothing may break in it. */
async function open(context, { url, ...options }) {
    const session = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    const page = await session.newPage();
    const [broken, asked] = [[], new Set()];
    page.on('pageerror', (error) => broken.push(error));
    page.on('request', (request) => asked.add(new URL(request.url()).origin));
    context.after(async () => {
        await session.close();
        assert.deepEqual(broken, []);
        asked.delete('null');
        assert.deepEqual(
            [...asked].filter((origin) => origin !== site.url && origin !== url),
            [],
        );
    });
    await page.goto(site.url);
    const config = page.getByLabel('Configuration', { exact: true });
    if (url) await config.fill((await config.inputValue()).replace('http://127.0.0.1:8303', url));
    return page;
}

async function choose(page, { resource, rows, token = TOKEN }) {
    await page.getByLabel('Resource').selectOption(resource);
    await page.getByRole('spinbutton', { name: 'Rows' }).fill(String(rows));
    await page.getByLabel('user_id').fill('acme');
    await page.getByLabel('Secret api_key').fill(token);
}

/** The texts of a column. */
async function column(page, table, name) {
    const region = page.getByRole('region', { name: `Rows of ${table}`, exact: true });
    const names = await region.locator('th').allTextContents();
    return region.locator(`tbody td:nth-child(${names.indexOf(name) + 1})`).allTextContents();
}

test('rows of the chosen resource are shown as the API serves them', async (context) => {
    const api = await serveApi(context);
    const page = await open(context, { url: api.url });
    await page.getByText(`The configuration leads to ${api.url}.`).waitFor();
    await choose(page, { resource: 'app_inputs', rows: 70 });
    await page.getByRole('button', { name: 'Preview' }).click();
    await page.getByText(/^70 rows, after \d+ requests/).waitFor();

    const served = [];
    for (const { id } of (await api.get('/v2/users/acme/apps?page=1&per_page=20')).apps) {
        for (const number of [1, 2, 3]) {
            const path = `/v2/users/acme/apps/${encodeURIComponent(id)}/inputs?page=${number}&per_page=20`;
            served.push(...(await api.get(path)).inputs);
        }
    }
    const first = served.slice(0, 70);
    assert.deepEqual(
        await column(page, 'app_inputs', 'id'),
        first.map(({ id }) => id),
    );
    assert.deepEqual(
        await column(page, 'app_inputs', 'status__description'),
        first.map(({ status }) => status.description),
    );
    // Beyond 2^53: the digits that the API wrote.
    const sizes = await column(page, 'app_inputs', 'data__image__image_info__size_bytes');
    assert.ok(sizes.some((size) => /^92233720368547\d{5}$/.test(size)));
    await page.getByText('app_inputs__data__concepts').waitFor();

    await page.screenshot({ path: 'screenshots/rows-light.png' });
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.screenshot({ path: 'screenshots/rows-dark.png' });
    await page.setViewportSize({ width: 400, height: 800 });
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(overflow <= 0, `${overflow} px too wide`);
    await page.getByText(/^70 rows/).scrollIntoViewIfNeeded();
    await page.screenshot({ path: 'screenshots/rows-narrow.png' });
});

test('a token that the API does not accept is told, and not shown', async (context) => {
    const api = await serveApi(context);
    const page = await open(context, { url: api.url });
    await choose(page, { resource: 'applications', rows: 3, token: 'wrong-token' });
    await page.getByRole('button', { name: 'Preview' }).click();
    const alert = page.getByRole('alert').filter({ hasText: '401' });
    await alert.waitFor();
    const text = await alert.innerText();
    assert.match(
        text,
        /the API answered with status 401[^]*kind\s+auth[^]*resource\s+applications[^]*status\s+401[^]*URL\s+http/,
    );
    assert.doesNotMatch(await page.locator('body').innerText(), /wrong-token/);
    await page.screenshot({ path: 'screenshots/wrong-token.png' });

    // What was typed stays, and the next attempt begins anew.
    await page.getByLabel('Secret api_key').fill(TOKEN);
    await page.getByRole('button', { name: 'Preview' }).click();
    await page.getByText(/^3 rows/).waitFor();
    assert.equal(await alert.count(), 0);
    assert.deepEqual(await column(page, 'applications', 'id'), ['app-0', 'app-1 north/ü', 'app-2+50%?#&']);
});

test('defects are shown while they are typed', async (context) => {
    const page = await open(context, {});
    const [config, defects] = [page.getByLabel('Configuration', { exact: true }), page.locator('#config-defects')];
    await page.getByText('The configuration leads to http://127.0.0.1:8303.').waitFor();
    await choose(page, { resource: 'applications', rows: 3 });
    const right = await config.inputValue();

    await config.fill('{ "client": {}, "resorces": [] }');
    await defects.getByText('the key base_url is missing').waitFor();
    assert.match(await defects.innerText(), /place in the configuration\s+\/client\n/);
    assert.match(await defects.innerText(), /place in the configuration\s+\/resorces/);
    assert.ok(await page.getByRole('button', { name: 'Preview' }).isDisabled());
    assert.equal(await config.getAttribute('aria-invalid'), 'true');
    await page.screenshot({ path: 'screenshots/defects.png' });

    await config.fill('{ "client": ');
    await defects.getByText('this is not JSON').waitFor();

    // What was typed elsewhere stays.
    await config.fill(right);
    await page.getByRole('button', { name: 'Preview' }).and(page.locator(':enabled')).waitFor();
    assert.equal(await page.getByLabel('user_id').inputValue(), 'acme');
    assert.equal(await page.getByLabel('Secret api_key').inputValue(), TOKEN);
    assert.equal(await config.getAttribute('aria-invalid'), 'false');
});

test('an API that permits no pages from elsewhere is told of', async (context) => {
    const api = await serveApi(context);
    const page = await open(context, { url: api.direct });
    await choose(page, { resource: 'applications', rows: 3 });
    await page.getByRole('button', { name: 'Preview' }).click();
    await page.getByRole('alert').getByText('does not permit pages from elsewhere').waitFor();
});

test('a body that the browser has decoded is read, from a path with uncommon signs', async (context) => {
    const asked = [];
    const server = createServer(({ url }, response) => {
        asked.push(url);
        const permit = { 'access-control-allow-origin': '*', 'access-control-expose-headers': '*' };
        response.writeHead(200, { ...permit, 'content-type': 'application/json', 'content-encoding': 'gzip' });
        response.end(gzipSync('[{"id": 1}, {"id": 2}]'));
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    context.after(() => server.close());
    const url = `http://127.0.0.1:${server.address().port}`;
    const page = await open(context, { url });
    const endpoint = { path: 'orders?filter[state]=open|paid', paginator: 'single_page' };
    const config = { client: { base_url: url }, resources: [{ name: 'orders', endpoint }] };
    await page.getByLabel('Configuration', { exact: true }).fill(JSON.stringify(config));
    await page.getByText(`The configuration leads to ${url}.`).waitFor();
    await page.getByRole('button', { name: 'Preview' }).click();
    await page.getByText(/^2 rows/).waitFor();
    assert.deepEqual(await column(page, 'orders', 'id'), ['1', '2']);
    assert.deepEqual(asked, ['/orders?filter%5Bstate%5D=open%7Cpaid']);
});

test('a wait is told, and passes', async (context) => {
    const api = await serveApi(context, '--too-many-every', '3', '--retry-after', '1');
    const page = await open(context, { url: api.url });
    await choose(page, { resource: 'app_inputs', rows: 150 });
    await page.getByRole('button', { name: 'Preview' }).click();
    await page.getByText(/^Waits until .*: /).waitFor();
    await page.getByText(/^150 rows/).waitFor();
});

test('reading can be stopped', async (context) => {
    const api = await serveApi(context, '--latency-ms', '60000');
    const page = await open(context, { url: api.url });
    await choose(page, { resource: 'applications', rows: 3 });
    await page.getByRole('button', { name: 'Preview' }).click();
    await page.getByText('Reading…').waitFor();
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByText('Reading… Stopped.').waitFor();
    // The browser tells a little later that a thread has ended.
    for (let tries = 0; page.workers().length > 1 && tries < 100; tries += 1) await page.waitForTimeout(50);
    assert.ok(await page.getByRole('button', { name: 'Preview' }).isEnabled());
    assert.deepEqual(page.workers().length, 1);
});

test('a browser without JSPI is told so', async (context) => {
    const session = await browser.newContext();
    context.after(() => session.close());
    const page = await session.newPage();
    await page.addInitScript(() => delete WebAssembly.Suspending);
    await page.goto(site.url);
    await page.getByText('This browser cannot run Spile yet.').waitFor();
    assert.ok(await page.locator('main').isHidden());
    await page.screenshot({ path: 'screenshots/without-jspi.png' });
});
