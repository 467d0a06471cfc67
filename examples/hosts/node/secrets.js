import { SpileError } from './error.js';

/** Where a text is sent as it is. Elsewhere it is a template, but for a raw string. */
const PLAIN = /^\/(client|resources\/\d+\/endpoint\/auth|resource_defaults\/endpoint\/auth)(\/|$)/;

/**
 * The configuration with the value of each secret in the place of its name, `{ "secret": "api_key" }`.
 *
 * @param {unknown} config
 * @param {Record<string, string>} secrets values by name
 */
export function fill(config, secrets) {
    const missing = [];
    const filled = filling(config, '', secrets, missing);
    if (missing.length > 0) throw SpileError.all(missing);
    return filled;
}

function filling(value, pointer, secrets, missing) {
    if (typeof value !== 'object' || value === null) return value;
    const entries = Object.entries(value);
    const [[key, name] = []] = entries;
    if (!Array.isArray(value) && entries.length === 1 && key === 'secret' && typeof name === 'string') {
        const secret = secrets[name];
        if (typeof secret !== 'string') return void missing.push(withoutValue(name, pointer));
        return PLAIN.test(pointer) ? secret : { raw_string: secret };
    }
    const filled = entries.map(([key, item]) => [key, filling(item, `${pointer}/${escaped(key)}`, secrets, missing)]);
    return Array.isArray(value) ? filled.map(([, item]) => item) : Object.fromEntries(filled);
}

function withoutValue(name, pointer) {
    return new SpileError({
        kind: 'config',
        reason: `the secret \`${name}\` has no value`,
        pointer,
        advice: `give it, a text, in the option \`secrets\`: { ${JSON.stringify(name)}: … }`,
    });
}

/** A key as it stands in a JSON pointer (RFC 6901). */
function escaped(key) {
    return key.replaceAll('~', '~0').replaceAll('/', '~1');
}

/**
 * Takes secrets out of texts, also where they stand encoded for a URL, a form or JSON, or in Base64.
 *
 * @param {Record<string, string>} secrets
 * @returns {(text: string) => string}
 */
export function redactor(secrets) {
    const forms = Object.values(secrets)
        .filter((value) => typeof value === 'string' && value !== '')
        .flatMap(formsOf);
    // The longest first: a secret that holds another one leaves nothing.
    forms.sort((a, b) => b.length - a.length);
    return (text) => forms.reduce((text, form) => text.replaceAll(form, '***'), text);
}

function formsOf(secret) {
    const hexadecimal = (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`;
    const percent = encodeURIComponent(secret).replace(/[!'()*]/g, hexadecimal);
    const json = JSON.stringify(secret).slice(1, -1);
    const base64 = btoa(String.fromCharCode(...new TextEncoder().encode(secret)));
    return [secret, percent, percent.replaceAll('%20', '+'), json, base64];
}
