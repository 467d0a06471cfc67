// The library in TypeScript: `npm run types` checks that this compiles.

import { batches, check, describe, rows, spec, SpileError } from './spile.js';
import type { Batch, Config, Options, Row, Summary } from './spile.js';

const config: Config = {
    client: { base_url: 'https://api.example.com/v1', auth: { type: 'bearer', token: { secret: 'api_key' } } },
    resources: ['orders'],
};
const options: Options = { secrets: { api_key: '…' }, signal: AbortSignal.timeout(60_000) };

export async function survey(): Promise<string[]> {
    const schema: { title?: string } = JSON.parse(await spec());
    const { resources, slots } = await describe(config);
    await check(config, options);
    return [schema.title ?? '', ...slots.map(({ name }) => name), ...resources.map(({ table }) => table)];
}

export async function load(write: (table: string, rows: Row[]) => Promise<void>): Promise<Summary> {
    const run = batches(config, { ...options, maxRows: 500 });
    for (;;) {
        const step = await run.next();
        if (step.done) return step.value;
        const batch: Batch = step.value;
        for (const { table, rows } of batch.tables) await write(table, rows);
    }
}

export async function firstOrder(): Promise<Row | undefined> {
    try {
        for await (const [table, row] of rows(config, options)) {
            if (table === 'orders') return row;
        }
    } catch (error) {
        if (error instanceof SpileError && error.kind === 'rate-limited') return undefined;
        throw error;
    }
    return undefined;
}
