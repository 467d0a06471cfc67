/**
 * The configuration with the value of each secret in the place of its name, `{ "secret": "api_key" }`.
 *
 * @param {unknown} config
 * @param {Record<string, string>} secrets values by name
 * @param {boolean} [isPlain] whether its texts are sent as they are
 */
export function fill(config, secrets, isPlain = false) {
    if (typeof config !== 'object' || config === null) return config;
    if (Array.isArray(config)) return config.map((item) => fill(item, secrets, isPlain));
    const entries = Object.entries(config);
    if (entries.length === 1 && typeof config.secret === 'string') {
        // In `client` and `auth` a text is sent as it is; elsewhere it is a template, but for a raw string.
        return isPlain ? secrets[config.secret] : { raw_string: secrets[config.secret] };
    }
    const filled = entries.map(([key, item]) => [key, fill(item, secrets, isPlain || key === 'auth' || key === 'client')]);
    return Object.fromEntries(filled);
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
