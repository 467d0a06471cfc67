// Reads what `ai-platform.json` describes, and shows the first row of each table: `API_KEY=… node example.js`.

import { readFile } from 'node:fs/promises';
import { rows, SpileError } from './spile.js';

const config = JSON.parse(await readFile('ai-platform.json', 'utf8'));
const options = { params: { user_id: 'acme' }, secrets: { api_key: process.env.API_KEY } };

const counts = {};
try {
    for await (const [table, row] of rows(config, options)) {
        if (!(table in counts)) console.log(table, row);
        counts[table] = (counts[table] ?? 0) + 1;
    }
    console.log('rows', counts);
} catch (error) {
    if (!(error instanceof SpileError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
}
