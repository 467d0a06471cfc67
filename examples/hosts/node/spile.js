// Reads REST APIs with Spile's component. `spile.d.ts` says what each function takes and gives.

import { setTimeout as sleep } from 'node:timers/promises';
import { Connector } from './connector.js';
import { SpileError } from './error.js';
import { parse } from './ndjson.js';
import { fill, redactor } from './secrets.js';
import { StreamingConnector } from './streaming.js';

export { SpileError };

/** The longest time that a timer of Node takes, in milliseconds. */
const LONGEST_SLEEP = 2 ** 31 - 1;

export async function spec(options = {}) {
    return withConnector(options, (connector) => connector.call('spec'));
}

export async function describe(config, options = {}) {
    // Secrets are left as names: nothing is sent, and what is described is which of them go where.
    const source = sourceConfig(config, options);
    const description = await withConnector(options, (connector) => connector.call('describe', source));
    return { ...description, warnings: description.warnings.map((warning) => SpileError.from(warning, redactor({}))) };
}

export async function check(config, options = {}) {
    const source = sourceConfig(fill(config, options.secrets ?? {}), options);
    await withConnector(options, (connector) => connector.call('check', source));
}

export async function* batches(config, options = {}) {
    const { secrets = {}, maxRows = 1000, maxBytes = 2 ** 20, signal } = options;
    const request = openRequest(fill(config, secrets), options);
    const connector = connectorFor(options);
    try {
        await connector.call('open', request);
        for (;;) {
            const { tag, val } = await connector.call('next', maxRows, BigInt(maxBytes));
            if (tag === 'done') return summary(val, redactor(secrets));
            if (tag === 'batch') yield batch(val);
            if (tag === 'wait') await sleepUntil(Number(val.until), signal);
        }
    } finally {
        await connector.stop();
    }
}

export async function* rows(config, options = {}) {
    const run = batches(config, options);
    try {
        for (;;) {
            const { done, value } = await run.next();
            if (done) return value;
            for (const { table, rows } of value.tables) {
                for (const row of rows) yield [table, row];
            }
        }
    } finally {
        await run.return();
    }
}

/** Rows of one table in a batch. They are parsed when they are looked at. */
class TableRows {
    #rows;

    constructor({ rows, payload, ...told }) {
        Object.assign(this, told, { rowCount: rows, ndjson: payload.val });
    }

    get rows() {
        this.#rows ??= parse(this.ndjson);
        return this.#rows;
    }
}

function batch({ tables, state, schema, changes, counts }) {
    return {
        tables: tables.map((table) => new TableRows(table)),
        state,
        schema,
        changes: changes.map(withNumbers),
        counts: counts.map(withNumbers),
    };
}

function summary({ state, counts, warnings }, redact) {
    return {
        state,
        counts: counts.map(withNumbers),
        warnings: warnings.map((warning) => SpileError.from(warning, redact)),
    };
}

/** Counts are 64 bits wide in the contract; no run counts further than a number can. */
function withNumbers(record) {
    return Object.fromEntries(
        Object.entries(record).map(([key, value]) => [key, typeof value === 'bigint' ? Number(value) : value]),
    );
}

function sourceConfig(config, { params = {}, bindings = {} }) {
    return {
        config: JSON.stringify(config ?? null),
        params: JSON.stringify(params),
        bindings: JSON.stringify(bindings),
    };
}

function openRequest(config, options) {
    const { resources = [], state, schema, window = 8, loadId = Date.now() / 1000 } = options;
    const { since, until, fullRefresh = false } = options;
    const extent = { since: since?.toString(), until: until?.toString(), fullRefresh };
    return {
        source: sourceConfig(config, options),
        resources,
        state,
        schema,
        encoding: 'ndjson',
        window,
        loadId: loadId.toString(),
        extent,
    };
}

function connectorFor({ component, secrets = {}, signal, streaming = false }) {
    const [Kind, usual] = streaming
        ? [StreamingConnector, './component/spile-streaming.js']
        : [Connector, './component/spile.js'];
    return new Kind(new URL(component ?? usual, import.meta.url), redactor(secrets), signal);
}

async function withConnector(options, work) {
    const connector = connectorFor(options);
    try {
        return await work(connector);
    } finally {
        await connector.stop();
    }
}

async function sleepUntil(instant, signal) {
    while (Date.now() < instant) {
        const nap = sleep(Math.min(instant - Date.now(), LONGEST_SLEEP), undefined, { signal });
        await nap.catch(() => signal.throwIfAborted());
    }
}
