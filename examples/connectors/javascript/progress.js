// How far runs have come, for a source whose entries have numbers that grow. Change this file too where yours is read
// in another way.

import { failure, parsed } from './contract.js';

/**
 * Where a run is. All up to `read` was read by the runs before; this one began after `from`, has handed over all up to
 * `after`, and ends before `until`; so many `attempts` to get what comes next have failed.
 */
export class Progress {
    constructor({ state, extent }) {
        const longNumber = (_, value) => (typeof value === 'string' ? BigInt(value) : value);
        const kept = parsed(state ?? '{}', 'the state', longNumber) ?? {};
        // A run that was cut off goes on as it began, whatever the flags say now.
        if (kept.after !== undefined) return Object.assign(this, kept);
        const { since, until, fullRefresh } = extent;
        this.read = fullRefresh ? 0n : (kept.read ?? 0n);
        this.from = since === undefined ? this.read : number(since) - 1n;
        this.after = this.from;
        this.until = until === undefined ? undefined : number(until);
        this.attempts = 0;
    }

    /** The state with which a reader goes on with this run. */
    state() {
        return written(this);
    }

    /** The state for the next run, once this one has read all. If it began further on, what is between stays unread. */
    finalState() {
        const { read, from, after } = this;
        return written({ read: from <= read && after > read ? after : read });
    }
}

/** JSON has no numbers that are so long: they are texts. */
function written(state) {
    return JSON.stringify(state, (_, value) => (typeof value === 'bigint' ? `${value}` : value));
}

function number(text) {
    if (/^\d+$/.test(text)) return BigInt(text);
    throw failure('config', `"${text}" is no sequence number`, { advice: '`--since` and `--until` take one' });
}
