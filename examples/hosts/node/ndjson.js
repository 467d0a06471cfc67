/** A string, and the long integer that follows where the string is a name. A string is taken whole, so none begins inside another. */
const STRING_OR_LONG_INTEGER = /"(?:[^"\\]|\\.)*"(?::(-?\d{16,})(?=[,}]))?/g;

/**
 * Rows of NDJSON, as the component writes it: one flat object a line. An integer that a number cannot hold becomes a `bigint`, since
 * an id must not lose its last digits.
 *
 * @param {string} text
 */
export function parse(text) {
    const lines = text.split('\n').filter(Boolean);
    return lines.map((line) => withLongIntegers(JSON.parse(line), line));
}

function withLongIntegers(row, line) {
    if (!/\d{16}/.test(line)) return row;
    for (const [pair, digits] of line.matchAll(STRING_OR_LONG_INTEGER)) {
        if (digits === undefined) continue;
        const name = JSON.parse(pair.slice(0, -digits.length - 1));
        if (!Number.isSafeInteger(row[name])) row[name] = BigInt(digits);
    }
    return row;
}
