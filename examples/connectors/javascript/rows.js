// Rows in Arrow's form, as the contract has them. It is the same for every connector.

import { Bool, Float64, Int64, Table, TimestampMicrosecond, Utf8, Vector, makeData, tableToIPC } from 'apache-arrow';
import { failure } from './contract.js';

/** Types of columns: in Arrow; the array of values that have one size; and how a cell of JSON becomes a value. */
const TYPES = {
    text: { arrow: new Utf8(), convert: (cell) => (typeof cell === 'string' ? cell : JSON.stringify(cell)) },
    json: { arrow: new Utf8(), convert: JSON.stringify },
    bigint: { arrow: new Int64(), array: BigInt64Array, convert: integer },
    double: { arrow: new Float64(), array: Float64Array, convert: (cell) => (typeof cell === 'number' ? cell : NaN) },
    boolean: { arrow: new Bool(), convert: (cell) => (typeof cell === 'boolean' ? cell : NaN) },
    timestamp: { arrow: new TimestampMicrosecond('UTC'), array: BigInt64Array, convert: microseconds },
};

/** A number of 64 bits, as a text of digits where it is long. Not a number where the cell is none. */
function integer(cell) {
    if (!Number.isInteger(cell) && !/^-?\d+$/.test(cell)) return NaN;
    const long = BigInt(cell);
    return BigInt.asIntN(64, long) === long ? long : NaN;
}

/** Microseconds since 1970 of a text in ISO 8601. What is finer than milliseconds is lost. */
function microseconds(text) {
    return BigInt(Date.parse(text)) * 1000n;
}

/** Values, null where there is none, as a vector of Arrow. `vectorFromArray` does that too, in ten times the time. */
function vectorOf({ arrow: type, array }, values) {
    const { length } = values;
    const bits = (isSet) => {
        const bytes = new Uint8Array(Math.ceil(length / 8));
        values.forEach((value, row) => {
            if (isSet(value)) bytes[row >> 3] |= 1 << (row & 7);
        });
        return bytes;
    };
    const nullBitmap = bits((value) => value !== null);
    const nullCount = values.filter((value) => value === null).length;
    const vector = (buffers) => new Vector([makeData({ type, length, nullCount, nullBitmap, ...buffers })]);

    if (type instanceof Bool) return vector({ data: bits((value) => value === true) });
    if (array) {
        const data = new array(length);
        values.forEach((value, row) => {
            if (value !== null) data[row] = value;
        });
        return vector({ data });
    }
    const encoder = new TextEncoder();
    const text = values.join('');
    const data = encoder.encode(text);
    const isAscii = data.length === text.length;
    const valueOffsets = new Int32Array(length + 1);
    values.forEach((value, row) => {
        const size = isAscii ? (value?.length ?? 0) : encoder.encode(value ?? '').length;
        valueOffsets[row + 1] = valueOffsets[row] + size;
    });
    return vector({ data, valueOffsets });
}

/**
 * Rows of a root table. `columns` has the types of its columns, `cells` gives the cells of one in all rows, and `ids`
 * tell the rows of the table apart. `known` has the names of columns that the table has already; new ones join them.
 */
export function tableRows({ table, resource, columns, cells, ids, loadId, known }) {
    const vectors = {};
    for (const [name, type] of Object.entries(columns)) {
        const value = (cell) => {
            if (cell === null || cell === undefined) return null;
            try {
                const converted = TYPES[type].convert(cell);
                if (!Number.isNaN(converted)) return converted;
            } catch {
                // Told below.
            }
            throw failure('schema', `\`${name}\` is ${JSON.stringify(cell)}, which is no ${type}`, { resource });
        };
        vectors[name] = vectorOf(TYPES[type], cells(name).map(value));
    }
    // The run that brought a row, and what tells it apart.
    vectors._dlt_load_id = vectorOf(TYPES.text, Array(ids.length).fill(loadId));
    vectors._dlt_id = vectorOf(TYPES.text, ids.map(String));
    const types = { ...columns, _dlt_load_id: 'text', _dlt_id: 'text' };
    const added = Object.keys(types).filter((name) => !known.includes(name));
    known.push(...added);
    return {
        table,
        resource,
        rows: ids.length,
        payload: { tag: 'arrow', val: tableToIPC(new Table(vectors), 'stream') },
        roots: [],
        newColumns: added.map((name) => ({ name, dataType: { tag: types[name] }, nullable: name in columns })),
        widenedColumns: [],
    };
}
