// What every connector in JavaScript needs, whatever it reads: change `connector.js`, and leave this file as it is.

import { now } from 'wasi:clocks/wall-clock@0.2.4';

// These would end the component without a word, for want of a clock. Of `fetch` see `http.js`.
for (const name of ['setTimeout', 'setInterval', 'performance', 'fetch']) delete globalThis[name];

// The engine's own clock stands still, at the instant at which the component was built. This one is the host's.
globalThis.Date = class Date extends globalThis.Date {
    constructor(...parts) {
        super(...(parts.length > 0 ? parts : [Date.now()]));
    }

    static now() {
        const { seconds, nanoseconds } = now();
        return Number(seconds) * 1000 + Math.floor(nanoseconds / 1e6);
    }
};

/** A failure as the contract has it, to be thrown. `more` has other fields of it: `resource`, `pointer`, `advice`… */
export function failure(kind, message, more) {
    return { kind, message, ...more };
}

/** What a JSON text of the host says, `what` being its name. A text that is none is a failure of the kind `config`. */
export function parsed(text, what, reviver) {
    try {
        return JSON.parse(text, reviver);
    } catch (error) {
        throw failure('config', `${what} cannot be read: ${error.message}`);
    }
}

/**
 * A source that tells its own defects. An exception that is no failure of the contract would end the component, and
 * nobody would see its message: it becomes a failure of the kind `internal`. Where a list of failures is thrown,
 * `describe` gives all of them, and the other functions give the first.
 */
export function guarded(source) {
    const { Reader } = source;
    const guard = (owner, name) => {
        const call = owner[name];
        owner[name] = function (...parameters) {
            try {
                return call.apply(this, parameters);
            } catch (thrown) {
                const isDefect = thrown instanceof Error;
                const failures = isDefect ? [failure('internal', `${thrown}\n${thrown.stack}`)] : [thrown].flat();
                throw name === 'describe' ? failures : failures[0];
            }
        };
    };
    guard(source, 'describe');
    guard(source, 'check');
    guard(Reader, 'open');
    guard(Reader.prototype, 'next');
    return source;
}

const IS = {
    object: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
    array: Array.isArray,
    string: (value) => typeof value === 'string',
    integer: Number.isInteger,
    number: (value) => typeof value === 'number',
    boolean: (value) => typeof value === 'boolean',
};

/**
 * What of a value does not fit its JSON Schema: a failure for each place, with its JSON pointer. Of the keywords of
 * schemas it knows those that stand here.
 */
export function defects(schema, value, pointer = '') {
    const defect = (message, at = pointer) => failure('config', message, { pointer: at });
    const types = [schema.type ?? []].flat();
    const fits =
        (types.length === 0 || types.some((type) => IS[type](value))) &&
        (schema.pattern === undefined || new RegExp(schema.pattern).test(value)) &&
        !(value < schema.minimum || value > schema.maximum);
    if (!fits) return [defect(`this is no ${schema.description ?? types.join(' or ')}`)];
    if (!IS.object(value)) return [];
    const missing = (schema.required ?? []).filter((key) => !(key in value));
    const inside = Object.entries(value).flatMap(([key, inner]) => {
        const own = schema.properties?.[key] ?? schema.additionalProperties ?? {};
        const at = `${pointer}/${pointerPart(key)}`;
        return own === false ? [defect(`unknown key \`${key}\``, at)] : defects(own, inner, at);
    });
    return [...missing.map((key) => defect(`the key \`${key}\` is missing`)), ...inside];
}

/**
 * Of `client` in the configuration: the origin, the headers of a request, and the slots. Spile takes credentials out of
 * `client.auth` and `client.headers`, and puts them on requests that have left the connector.
 */
export function connection({ base_url: baseUrl, headers: given = {}, auth }) {
    const url = urlOf(baseUrl);
    const origin = `${url.protocol}//${url.hostname}:${url.port || (url.protocol === 'https:' ? 443 : 80)}`;
    const headers = { ...given };
    for (const [name, value] of Object.entries(headers)) {
        if (typeof value === 'string') continue;
        throw failure('config', 'this secret was given no value', { pointer: `/client/headers/${pointerPart(name)}` });
    }
    // In the place of a secret stands a text with its name, in hexadecimal digits.
    const standIns = JSON.stringify(headers).matchAll(/spile-slot-((?:[0-9a-f]{2})+)-/g);
    const slots = Array.from(standIns, ([, digits]) => new TextDecoder().decode(Uint8Array.fromHex(digits)));
    if (auth) {
        if (typeof auth.credential !== 'string') {
            throw failure('config', 'these credentials were given no value', { pointer: '/client/auth' });
        }
        // In the place of what signs requests stands the name of a credential. This header asks for it.
        headers['spile-credential'] = auth.credential;
        slots.push(auth.credential);
    }
    return { origin, headers, slots: slots.map((name) => ({ name, origins: [origin] })) };
}

function urlOf(text) {
    const refused = failure('config', 'this is no URL that begins with http', { pointer: '/client/base_url' });
    let url;
    try {
        url = new URL(text);
    } catch {
        throw refused;
    }
    // A user and a password would be sent to nobody, and shown to everybody.
    if (!/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash) throw refused;
    return url;
}

/** A key as it stands in a JSON pointer (RFC 6901). */
function pointerPart(key) {
    return key.replaceAll('~', '~0').replaceAll('/', '~1');
}
