// HTTP for the component: what `@bytecodealliance/preview2-shim` 0.26 has, with two repairs.

import { outgoingHandler, types as shim } from '@bytecodealliance/preview2-shim/http';

export { outgoingHandler };

class OutgoingRequest extends shim.OutgoingRequest {
    /** The shim refuses signs such as `[`, which URLs commonly have. Percent-encoded they mean the same. */
    setPathWithQuery(path) {
        super.setPathWithQuery(path?.replace(/[^\w.~!$&'()*+,;=:@%?/-]/g, (sign) => encodeURIComponent(sign)));
    }
}

export const types = {
    ...shim,
    OutgoingRequest,
    /** Where a response breaks off the shim gives an error of Node's, with which the component cannot go on. */
    httpErrorCode(error) {
        const code = shim.httpErrorCode(error);
        return code instanceof Error ? undefined : code;
    },
};
