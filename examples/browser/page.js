// The page: a configuration is described while it is typed, and the first rows of one of its resources are read on demand.

import { Connector, Failed } from './connector.js';
import { fill, redactor } from './secrets.js';
import { element, failureShown, tableShown } from './shown.js';

const EXAMPLE = {
    client: {
        base_url: 'http://127.0.0.1:8303',
        auth: { type: 'bearer', token: { secret: 'api_key' } },
    },
    resources: [
        {
            name: 'applications',
            endpoint: {
                path: '/v2/users/{user_id}/apps',
                data_selector: 'apps',
                paginator: { type: 'page_number', page_param: 'page', limit_param: 'per_page', limit: 20 },
            },
        },
        {
            name: 'app_inputs',
            endpoint: {
                path: '/v2/users/{user_id}/apps/{resources.applications.id}/inputs',
                data_selector: 'inputs',
                paginator: { type: 'page_number', page_param: 'page', limit_param: 'per_page', limit: 20 },
            },
        },
    ],
};

const ids = ['form', 'config', 'config-defects', 'choices', 'resource', 'rows', 'values', 'origins', 'preview', 'stop'];
const [form, config, defects, choices, resource, rows, values, origins, preview, stop] = ids.map(byId);
const [status, failures, tables] = ['status', 'failures', 'tables'].map(byId);

/** What the configuration asks for; undefined while it has defects. */
let description;

if ('Suspending' in WebAssembly) {
    begin();
} else {
    byId('unsupported').hidden = false;
    byId('main').hidden = true;
}

function begin() {
    const describer = new Connector();
    let latest = Promise.resolve();
    // One after the other, since an instance takes one call at a time.
    const describe = () => (latest = latest.then(() => describeTyped(describer)));

    config.value = JSON.stringify(EXAMPLE, null, 2);
    config.addEventListener('input', describe);
    resource.addEventListener('change', showValues);
    form.addEventListener('submit', (event) => {
        event.preventDefault();
        read();
    });
    describe();
}

/** Describes what is typed, and shows what there is to choose, or what is wrong. */
async function describeTyped(describer) {
    try {
        const source = { config: JSON.stringify(JSON.parse(config.value)), params: '{}', bindings: '{}' };
        description = await describer.call('describe', source);
        defects.replaceChildren(...description.warnings.map((warning) => failureShown(warning)));
        showChoices();
    } catch (error) {
        if (!(error instanceof Failed || error instanceof SyntaxError)) throw error;
        description = undefined;
        const told = error.failures ?? [{ kind: 'config', message: `this is not JSON: ${error.message}` }];
        defects.replaceChildren(...told.map((failure) => failureShown(failure)));
    }
    choices.disabled = description === undefined;
    config.setAttribute('aria-invalid', choices.disabled);
}

function showChoices() {
    const chosen = resource.value;
    const names = description.resources.filter(({ selected }) => selected).map(({ name }) => name);
    resource.replaceChildren(...names.map((name) => element('option', { value: name }, name)));
    if (names.includes(chosen)) resource.value = chosen;
    origins.textContent = `The configuration leads to ${description.origins.join(', ')}.`;
    showValues();
}

/** Asks for the path variables that the chosen resource needs, and for the secrets. What was typed stays. */
function showValues() {
    const typed = new Map([...values.querySelectorAll('input')].map(({ name, value }) => [name, value]));
    const variables = lineage(resource.value).flatMap(({ unbound }) => unbound);
    const asked = [
        ...[...new Set(variables)].map((name) => ({ name, key: `param ${name}`, type: 'text' })),
        ...description.slots.map(({ name }) => ({ name, key: `secret ${name}`, type: 'password' })),
    ];
    values.replaceChildren(
        ...asked.map(({ name, key, type }) => {
            const input = {
                id: key,
                name: key,
                type,
                value: typed.get(key) ?? '',
                required: true,
                autocomplete: 'off',
            };
            const label = element('label', { htmlFor: key }, type === 'password' ? `Secret ${name}` : name);
            return element('div', {}, label, element('input', input));
        }),
    );
}

/** The resource, and those whose records its requests depend on. */
function lineage(name) {
    const found = description.resources.find((resource) => resource.name === name);
    return found ? [found, ...lineage(found.parent)] : [];
}

/** The values that were typed for what begins so. */
function typedValues(beginning) {
    const fields = [...new FormData(form)].filter(([key]) => key.startsWith(beginning));
    return Object.fromEntries(fields.map(([key, value]) => [key.slice(beginning.length), value]));
}

/** Reads the first rows of the chosen resource. */
async function read() {
    const secrets = typedValues('secret ');
    const redact = redactor(secrets);
    const connector = new Connector();
    const stopped = new Promise((resolve) => {
        stop.onclick = resolve;
    });
    reading(true);
    try {
        const end = await Promise.race([readWith(connector, secrets), stopped.then(() => 'stopped')]);
        status.textContent += end === 'stopped' ? ' Stopped.' : '';
    } catch (error) {
        if (!(error instanceof Failed)) throw error;
        status.textContent = 'It did not work.';
        failures.replaceChildren(...error.failures.map((failure) => failureShown(failure, redact)));
    } finally {
        connector.stop();
        reading(false);
    }
}

function reading(on) {
    preview.disabled = on;
    stop.disabled = !on;
    if (!on) return;
    status.textContent = 'Reading…';
    failures.replaceChildren();
    tables.replaceChildren();
    status.scrollIntoView({ block: 'nearest' });
}

async function readWith(connector, secrets) {
    const [name, wanted] = [resource.value, rows.valueAsNumber];
    const source = {
        config: JSON.stringify(fill(patient(JSON.parse(config.value)), secrets)),
        params: JSON.stringify(typedValues('param ')),
        bindings: '{}',
    };
    const extent = { fullRefresh: false };
    const loadId = String(Date.now() / 1000);
    await connector.call('open', { source, resources: [name], encoding: 'ndjson', window: 4, loadId, extent });

    const read = new Map();
    for (let count = 0; count < wanted;) {
        const { tag, val } = await connector.call('next', wanted - count, 2n ** 20n);
        if (tag === 'done') {
            if (count === 0) status.textContent = 'The API has no rows for this.';
            failures.replaceChildren(...val.warnings.map((warning) => failureShown(warning, redactor(secrets))));
            return;
        }
        if (tag === 'wait') {
            status.textContent = `Waits until ${new Date(Number(val.until)).toLocaleTimeString()}: ${val.reason}`;
            await new Promise((resolve) => setTimeout(resolve, Number(val.until) - Date.now()));
            continue;
        }
        for (const table of val.tables) collect(read, table);
        tables.replaceChildren(...[...read.values()].map(tableShown));
        count = [...read.values()].find(({ parent }) => parent === undefined)?.rows.length ?? 0;
        const requests = val.counts.reduce((sum, counts) => sum + counts.requests, 0n);
        status.textContent = `${count} rows, after ${requests} requests.`;
    }
}

/** A preview does not try for long, where the configuration does not say how long. */
function patient({ client, ...rest }) {
    return { client: { error_handler: { max_retries: 1 }, ...client }, ...rest };
}

function collect(read, { table, parent, payload }) {
    if (!read.has(table)) read.set(table, { table, parent, rows: [] });
    const lines = payload.val.split('\n').filter(Boolean);
    // Numbers stay the text that they are: an id must not lose its last digits.
    const exact = (_, value, { source }) => (typeof value === 'number' ? JSON.rawJSON(source) : value);
    read.get(table).rows.push(...lines.map((line) => JSON.parse(line, exact)));
}

function byId(id) {
    return document.getElementById(id);
}
