// What the component of WASI 0.3 imports: what `@bytecodealliance/preview3-shim` 0.7 has, with one repair.

import { monotonicClock, systemClock } from '@bytecodealliance/preview3-shim/clocks';
import { client, types } from '@bytecodealliance/preview3-shim/http';
import { random } from '@bytecodealliance/preview3-shim/random';

const { consumeBody } = types.Response;

/** Where a response breaks off the shim's stream throws, and the component would wait for ever: here it ends, and the trailers say so. */
types.Response.consumeBody = (response, accepted) => {
    const [body, trailers] = consumeBody(response, accepted);
    async function* chunks() {
        try {
            yield* body;
        } catch {
            // Told by the trailers.
        }
    }
    const brokenOff = { tag: 'err', val: { tag: 'HTTP-response-incomplete' } };
    return [chunks(), Promise.resolve(trailers).catch(() => brokenOff)];
};

export const imports = {
    'wasi:clocks/monotonic-clock': monotonicClock,
    'wasi:clocks/system-clock': systemClock,
    'wasi:http/client': client,
    'wasi:http/types': types,
    'wasi:random/random': random,
};
