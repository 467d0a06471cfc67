/**
 * The configuration with the value of each secret in the place of its name, `{ "secret": "api_key" }`.
 *
 * @param {unknown} config
 * @param {Record<string, string>} secrets values by name
 */
export function fill(config, secrets) {
    if (typeof config !== 'object' || config === null) return config;
    if (Array.isArray(config)) return config.map((item) => fill(item, secrets));
    const entries = Object.entries(config);
    if (entries.length === 1 && typeof config.secret === 'string') return secrets[config.secret];
    return Object.fromEntries(entries.map(([key, item]) => [key, fill(item, secrets)]));
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
