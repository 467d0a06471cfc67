// What is read, and what is wrong, as parts of the page.

/** An element with properties and children. */
export function element(name, properties, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
}

/** A text in which names stand between backquotes. */
function prose(text) {
    return text.split('`').map((part, place) => (place % 2 === 1 ? element('code', {}, part) : part));
}

/**
 * A failure, or a warning, as the component tells it.
 *
 * @param {object} failure
 * @param {(text: string) => string} [redact] takes secrets out
 */
export function failureShown(failure, redact = (text) => text) {
    const { kind, message, resource, pointer, advice, status, url, attempts, retryAfter } = failure;
    const facts = {
        kind,
        resource,
        'place in the configuration': pointer,
        status,
        URL: url && redact(url),
        attempts,
        'the API asks to wait': retryAfter && `${Number(retryAfter) / 1000} s`,
    };
    const known = Object.entries(facts).filter(([, fact]) => fact);
    const list = known.flatMap(([name, fact]) => [element('dt', {}, name), element('dd', {}, String(fact))]);
    const parts = [element('h3', {}, ...prose(redact(message))), element('dl', {}, ...list)];
    if (advice) parts.push(element('p', {}, ...prose(redact(advice))));
    // A request that never got an answer.
    if (kind === 'transient' && status === undefined) {
        const hint =
            'The browser does not tell more. Perhaps the API cannot be reached, or it does not permit pages from elsewhere to read it (CORS).';
        parts.push(element('p', {}, hint));
    }
    return element('article', { className: 'failure' }, ...parts);
}

/** A table with its rows; tables of child rows are closed at first. */
export function tableShown({ table, parent, rows }) {
    const names = [...new Set(rows.flatMap(Object.keys))];
    // Columns that Spile adds come last.
    const sorted = [...names.filter((name) => !own(name)), ...names.filter(own)];
    const columns = sorted.map((name) => ({ name, className: look(name, rows) }));
    const head = columns.map(({ name, className }) => element('th', { scope: 'col', className }, name));
    const body = rows.map((row) =>
        element('tr', {}, ...columns.map(({ name, className }) => cell(row[name], className))),
    );
    const shown = element('table', {}, element('thead', {}, element('tr', {}, ...head)), element('tbody', {}, ...body));
    const about = element('span', {}, ` ${rows.length} rows${parent ? `, children of ${parent}` : ''}`);
    return element(
        'details',
        { open: parent === undefined },
        element('summary', {}, table, about),
        // What scrolls must be reachable with the keyboard.
        element('div', { className: 'scroll', tabIndex: 0, role: 'region', ariaLabel: `Rows of ${table}` }, shown),
    );
}

function own(column) {
    return column.startsWith('_dlt_');
}

function look(column, rows) {
    const isNumber = rows.some((row) => JSON.isRawJSON(row[column]));
    return [isNumber && 'number', own(column) && 'own'].filter(Boolean).join(' ');
}

function cell(value, className) {
    const text = JSON.isRawJSON(value) ? value.rawJSON : String(value ?? '');
    return element('td', { className, title: text }, text);
}
