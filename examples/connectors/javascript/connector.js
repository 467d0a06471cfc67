// Reads a log whose entries have sequence numbers, in pages that are columns and rows of cells. The declarative dialect
// has no words for such pages.

import { connection, defects, failure, guarded, parsed } from './contract.js';
import { getJson, retryAt } from './http.js';
import { Progress } from './progress.js';
import { tableRows } from './rows.js';

const RESOURCE = 'journal';

/** The columns of the table. The API writes sequence numbers as texts: no number of JavaScript is long enough. */
const COLUMNS = { seq: 'bigint', id: 'text', at: 'timestamp', kind: 'text', amount: 'double', details: 'json' };

/** What may stand in `source` of a pipeline. Credentials stand in `client`, where Spile looks for them. */
const CONFIGURATION = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    required: ['client'],
    additionalProperties: false,
    properties: {
        client: {
            type: 'object',
            required: ['base_url'],
            additionalProperties: false,
            properties: {
                base_url: { type: 'string', pattern: '^https?://[^/]', description: 'URL that begins with http' },
                headers: { type: 'object', additionalProperties: { type: ['string', 'object'] } },
                auth: { type: ['object', 'string'] },
            },
        },
        table: { type: 'string', pattern: '^[A-Za-z]', description: 'name of a table', default: RESOURCE },
        page_size: {
            type: 'integer',
            minimum: 1,
            maximum: 10_000,
            description: 'whole number from 1 to 10,000',
            default: 1000,
        },
    },
};

/** What a configuration asks for. Throws all that is wrong with it. */
function plan({ config: text }) {
    const config = parsed(text, 'the configuration');
    const wrong = defects(CONFIGURATION, config);
    if (wrong.length > 0) throw wrong;
    const { client, table = RESOURCE, page_size: pageSize = 1000 } = config;
    const base = client.base_url.replace(/\/$/, '');
    const url = (after, limit) => `${base}/${RESOURCE}?after=${after}&limit=${limit}`;
    return { ...connection(client), url, table, pageSize };
}

/** The entries after one. `next` is the sequence number after which there are more, or null. */
function getPage({ url, headers, pageSize }, after, limit = pageSize) {
    const { value: page, size } = getJson(url(after, limit), headers, RESOURCE);
    const { columns, rows, next } = page ?? {};
    const isPage = columns?.includes?.('seq') && Array.isArray(rows) && (next === null || /^\d+$/.test(next));
    const place = { resource: RESOURCE, url: url(after, limit) };
    // The state is the number of the last entry, so they have to come in their order.
    let last = after;
    for (const row of isPage ? rows : []) {
        const seq = row?.[columns.indexOf('seq')];
        // What is no number at all is told with its column.
        if (!/^\d+$/.test(seq)) continue;
        if (BigInt(seq) <= last) throw failure('upstream', 'the entries are not in their order', place);
        last = BigInt(seq);
    }
    // Else it would be asked for again and again.
    if (isPage && (next === null || BigInt(next) > after))
        return { columns, rows, next, bytesOfRow: size / rows.length };
    throw failure('upstream', isPage ? 'the page leads to itself' : 'the answer is no page of entries', place);
}

class Reader {
    counts = { resource: RESOURCE, requests: 0n, retries: 0n, pages: 0n, rows: 0n, filtered: 0n };
    /** The page that was received last, and those of its rows that were not handed over yet. */
    page;
    rows = [];

    static open(request) {
        if (request.encoding !== 'arrow') throw failure('config', 'rows come in the encoding `arrow` only');
        const reader = new Reader();
        reader.plan = plan(request.source);
        reader.progress = new Progress(request);
        reader.loadId = request.loadId;
        reader.known = parsed(request.schema ?? '[]', 'the schema');
        return reader;
    }

    next(maxRows, maxBytes) {
        const counts = [this.counts];
        while (this.rows.length === 0 && this.page?.next !== null) {
            const wait = this.turnPage();
            if (wait) return { tag: 'wait', val: { ...wait, state: this.progress.state(), counts } };
        }
        if (this.rows.length === 0) {
            return { tag: 'done', val: { state: this.progress.finalState(), counts, warnings: [] } };
        }
        const { columns, next, bytesOfRow } = this.page;
        const rows = this.rows.splice(0, Math.min(maxRows, Math.max(1, Number(maxBytes) / bytesOfRow)));
        const cells = (name) => {
            const place = columns.indexOf(name);
            return rows.map((row) => row[place]);
        };
        const seqs = cells('seq');
        const { loadId, known } = this;
        const place = { table: this.plan.table, resource: RESOURCE };
        const table = tableRows({ ...place, columns: COLUMNS, cells, ids: seqs, loadId, known });
        const schema = table.newColumns.length > 0 ? JSON.stringify(known) : undefined;
        // Just what is handed over is behind us now: at the end of a page, all up to where it leads.
        this.progress.after = BigInt((this.rows.length === 0 && next) || seqs.at(-1));
        this.counts.rows += BigInt(rows.length);
        return { tag: 'batch', val: { tables: [table], state: this.progress.state(), schema, changes: [], counts } };
    }

    /** Receives the next page. Where that failed and may pass, gives a wait: the host sleeps, not the connector. */
    turnPage() {
        const { plan, progress, counts } = this;
        try {
            counts.requests += 1n;
            if (progress.attempts > 0) counts.retries += 1n;
            this.page = getPage(plan, progress.after);
        } catch (cause) {
            progress.attempts += 1;
            return { until: retryAt(cause, progress.attempts), resource: RESOURCE, reason: cause.message };
        }
        progress.attempts = 0;
        counts.pages += 1n;
        const { columns, rows, next } = this.page;
        const place = columns.indexOf('seq');
        const end = progress.until === undefined ? -1 : rows.findIndex((row) => BigInt(row[place]) >= progress.until);
        if (end >= 0) this.page.next = null;
        this.rows = end >= 0 ? rows.slice(0, end) : rows;
        if (rows.length === 0 && next !== null) progress.after = BigInt(next);
    }
}

export const source = guarded({
    spec() {
        return JSON.stringify(CONFIGURATION);
    },

    describe(config) {
        const { origin, slots, url, table, pageSize } = plan(config);
        const resource = {
            name: RESOURCE,
            table,
            primaryKey: ['seq'],
            writeDisposition: { tag: 'append' },
            method: 'GET',
            url: url(0, pageSize),
            selected: true,
            unbound: [],
            cursor: '$.seq',
        };
        return { resources: [resource], origins: [origin], slots, warnings: [] };
    },

    check(config) {
        getPage(plan(config), 0n, 1);
    },

    Reader,
});
