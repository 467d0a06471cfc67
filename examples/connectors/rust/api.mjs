// An API to try the connector on. It serves a log of entries, on this machine only:
//
//     node api.mjs --port 8307 --token demo-token

import { createServer } from 'node:http';
import { parseArgs } from 'node:util';

const COLUMNS = ['seq', 'id', 'at', 'kind', 'amount', 'details'];

/** The entry at a place, as cells. Sequence numbers have gaps, and are longer than a number of JavaScript can be. */
export function entry(place) {
    const seq = `${9_007_199_254_740_993n + 3n * BigInt(place)}`;
    const at = new Date(1_767_225_600_000 + 1000 * place).toISOString();
    const kind = place % 3 === 0 ? 'refunded' : 'paid';
    const amount = place % 7 === 0 ? null : place / 4;
    return [seq, `entry-${place}`, at, kind, amount, place % 5 === 0 ? { note: `№ ${place}` } : null];
}

/** Serves a log of so many entries. `fault` may answer a request with something else: `[status, headers, body]`. */
export async function serve({ port = 0, token, entries = 2500 }) {
    const api = { entries, fault: () => undefined, asked: [] };
    const answer = ({ url, headers }) => {
        const { pathname, searchParams } = new URL(url, 'http://localhost');
        if (pathname !== '/journal') return [404, {}, 'no such path'];
        if (headers.authorization !== `Bearer ${token}`) return [401, {}, 'no such token'];
        const all = Array.from({ length: api.entries }, (_, place) => entry(place));
        const later = all.filter(([seq]) => BigInt(seq) > BigInt(searchParams.get('after')));
        const rows = later.slice(0, Number(searchParams.get('limit')));
        const next = rows.length < later.length ? rows.at(-1)[0] : null;
        return [200, { 'content-type': 'application/json' }, JSON.stringify({ columns: COLUMNS, rows, next })];
    };
    const server = createServer((request, response) => {
        api.asked.push(request.url);
        const [status, headers, body] = api.fault(request) ?? answer(request);
        response.writeHead(status, headers).end(body);
    });
    await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
    return Object.assign(api, { url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() });
}

if (import.meta.filename === process.argv[1]) {
    const text = { type: 'string' };
    const options = { port: text, token: text, entries: text, 'until-stdin-closes': { type: 'boolean' } };
    const { port = '0', token, entries = '2500', ...flags } = parseArgs({ options }).values;
    const { url } = await serve({ port: Number(port), token, entries: Number(entries) });
    console.log(`listening on ${url}`);
    if (flags['until-stdin-closes']) process.stdin.resume().on('end', () => process.exit());
}
