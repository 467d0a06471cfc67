/** Where a text is sent as it is. Elsewhere it is a template, but for a raw string. */
const PLAIN = /^\/(client|resources\/\d+\/endpoint\/auth|resource_defaults\/endpoint\/auth)(\/|$)/;

/**
 * The configuration with the value of each secret in the place of its name, `{ "secret": "api_key" }`.
 *
 * @param {unknown} config
 * @param {Record<string, string>} secrets values by name
 * @param {string} [pointer] where it stands
 */
export function fill(config, secrets, pointer = '') {
    if (typeof config !== 'object' || config === null) return config;
    const entries = Object.entries(config);
    if (!Array.isArray(config) && entries.length === 1 && typeof config.secret === 'string') {
        return PLAIN.test(pointer) ? secrets[config.secret] : { raw_string: secrets[config.secret] };
    }
    const filled = entries.map(([key, item]) => [key, fill(item, secrets, `${pointer}/${key}`)]);
    return Array.isArray(config) ? filled.map(([, item]) => item) : Object.fromEntries(filled);
}

/**
 * Takes secrets out of texts, also where they stand encoded for a URL or in JSON.
 *
 * @param {Record<string, string>} secrets
 * @returns {(text: string) => string}
 */
export function redactor(secrets) {
    const values = Object.values(secrets).filter(Boolean);
    const forms = values.flatMap((value) => [value, encodeURIComponent(value), JSON.stringify(value).slice(1, -1)]);
    // The longest first: a secret that holds another one leaves nothing.
    forms.sort((a, b) => b.length - a.length);
    return (text) => forms.reduce((text, form) => text.replaceAll(form, '***'), text);
}
