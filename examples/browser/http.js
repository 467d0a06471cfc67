// HTTP for the component: what `@bytecodealliance/preview2-shim` 0.26 has, over `fetch`, with two repairs.

import { outgoingHandler, types as shim } from './component/preview2-shim/http.js';

export { outgoingHandler };

class OutgoingRequest extends shim.OutgoingRequest {
    /** The shim refuses signs such as `[`, which URLs commonly have. Percent-encoded they mean the same. */
    setPathWithQuery(path) {
        super.setPathWithQuery(path?.replace(/[^\w.~!$&'()*+,;=:@%?/-]/g, (sign) => encodeURIComponent(sign)));
    }
}

export const types = { ...shim, OutgoingRequest };

const { fetch } = globalThis;

/** A browser decodes a body, and yet tells how it was encoded, where it tells it at all; the component would refuse that. */
globalThis.fetch = async (...request) => {
    const response = await fetch(...request);
    if (!response.headers.has('content-encoding')) return response;
    const headers = new Headers(response.headers);
    headers.delete('content-encoding');
    return new Response(response.body, { status: response.status, headers });
};
