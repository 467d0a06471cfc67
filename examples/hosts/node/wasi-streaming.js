// What the component of WASI 0.3 imports: what `@bytecodealliance/preview3-shim` 0.7 has, with two repairs.

import { monotonicClock, systemClock } from '@bytecodealliance/preview3-shim/clocks';
import { client as shim, types } from '@bytecodealliance/preview3-shim/http';
import { random } from '@bytecodealliance/preview3-shim/random';

const { consumeBody } = types.Response;

/** Where a response breaks off the shim's stream throws, and the component would wait for ever: here it ends, and the trailers say so. */
types.Response.consumeBody = (response, accepted) => {
    const [body, trailers] = consumeBody(response, accepted);
    const brokenOff = { tag: 'err', val: { tag: 'HTTP-response-incomplete' } };
    let end;
    const ended = new Promise((resolve) => (end = resolve));
    async function* chunks() {
        let outcome;
        try {
            yield* body;
            outcome = Promise.resolve(trailers).catch(() => brokenOff);
        } catch {
            outcome = brokenOff;
        } finally {
            end(outcome ?? brokenOff);
        }
    }
    return [chunks(), ended];
};

const client = {
    /** What the shim cannot put into words, such as a status from 600 on, it throws as no error of HTTP: here it is one. */
    async send(request) {
        try {
            return await shim.send(request);
        } catch (error) {
            const { tag = '' } = error?.payload ?? {};
            if (tag !== '' && !tag.startsWith('invalid-')) throw error;
            throw Object.assign(new Error(error?.message), { payload: { tag: 'HTTP-protocol-error' } });
        }
    },
};

export const imports = {
    'wasi:clocks/monotonic-clock': monotonicClock,
    'wasi:clocks/system-clock': systemClock,
    'wasi:http/client': client,
    'wasi:http/types': types,
    'wasi:random/random': random,
};
