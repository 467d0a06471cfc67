/** A failure, as Spile tells it: see `spile.d.ts` for its fields. */
export class SpileError extends Error {
    constructor({ cause, errors = [], ...details }) {
        super(errors.length > 1 ? listed(errors) : described(details), cause && { cause });
        this.name = 'SpileError';
        Object.assign(this, details, { errors });
    }

    /**
     * What the component tells: one failure, or all defects of a configuration.
     *
     * @param {object | object[]} told
     * @param {(text: string) => string} redact takes secrets out of a text
     */
    static from(told, redact) {
        return Array.isArray(told)
            ? SpileError.all(told.map((one) => SpileError.from(one, redact)))
            : new SpileError(details(told, redact));
    }

    /** One error for several: it shows them all, and has the fields of the first. */
    static all(errors) {
        return new SpileError({ ...errors[0], errors });
    }
}

function details({ message, advice, url, retryAfter, ...rest }, redact) {
    const texts = { reason: redact(message), advice: advice && redact(advice), url: url && redact(url) };
    const all = { ...rest, ...texts, retryAfter: retryAfter === undefined ? undefined : Number(retryAfter) };
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

function described({ kind, reason, resource, pointer, advice, status, url, attempts, retryAfter }) {
    const facts = [
        kind,
        resource && `resource \`${resource}\``,
        pointer && `at ${pointer}`,
        status && `HTTP ${status}`,
        attempts > 1 && `${attempts} attempts`,
        retryAfter && `again in ${retryAfter / 1000} s`,
        url,
    ];
    return `${reason} (${facts.filter(Boolean).join(', ')})${advice ? `\n  ${advice}` : ''}`;
}

function listed(errors) {
    return [`${errors.length} errors`, ...errors.map(({ message }) => `- ${message}`)].join('\n');
}
