// Requests, over wasi:http. The engine has a `fetch`, but that gives back nothing of what the host holds open for it: a
// run of some hundred requests would end at the limit on handles. Here `using` gives back all, the last one first.

import { handle } from 'wasi:http/outgoing-handler@0.2.4';
import { Fields, OutgoingRequest } from 'wasi:http/types@0.2.4';
import { failure } from './contract.js';

/** How often something is asked for before a run fails. */
const ATTEMPTS = 5;

/** Kinds of failures: by the status of an answer, and by the code of a request that has none. */
const KINDS = {
    401: 'auth',
    403: 'permission',
    429: 'rate-limited',
    'HTTP-request-denied': 'permission',
    'HTTP-request-URI-invalid': 'permission',
    'destination-IP-prohibited': 'permission',
    'configuration-error': 'permission',
    'HTTP-response-body-size': 'limit',
    'HTTP-response-header-section-size': 'limit',
};

/** Asks for JSON: its value, and its size in characters. */
export function getJson(url, headers, resource) {
    const { status, text, retryAfter } = get(url, headers, { resource, url });
    const place = { resource, url, status };
    if (status !== 200) {
        const kind = KINDS[status] ?? (status >= 500 ? 'transient' : 'upstream');
        throw failure(kind, `the API answered with status ${status}`, { ...place, retryAfter });
    }
    try {
        return { value: JSON.parse(text), size: text.length };
    } catch {
        throw failure('upstream', 'the answer is not JSON', place);
    }
}

/** When to try again after so many attempts. Throws the failure where it does not pass, or was tried often enough. */
export function retryAt(cause, attempts) {
    const mayPass = ['rate-limited', 'transient'].includes(cause.kind) && attempts < ATTEMPTS;
    if (!mayPass) throw Object.assign(cause, { attempts });
    return BigInt(Date.now()) + (cause.retryAfter ?? 500n << BigInt(attempts));
}

/** Sends a GET request, and waits for the whole answer. */
function get(url, headers, place) {
    const { protocol, host, pathname, search } = new URL(url);
    const request = new OutgoingRequest(fieldsOf(headers));
    request.setScheme({ tag: protocol === 'https:' ? 'HTTPS' : 'HTTP' });
    request.setAuthority(host);
    request.setPathWithQuery(pathname + search);

    const refused = ({ tag }) => failure(KINDS[tag] ?? 'transient', `the request failed: ${tag}`, place);
    using future = attempted(() => handle(request), refused);
    wait(future);
    const { val: outcome } = future.get();
    if (outcome.tag === 'err') throw refused(outcome.val);
    using response = outcome.val;
    const status = response.status();
    return { status, retryAfter: retryAfterOf(response), text: textOf(response, { ...place, status }) };
}

/** What a call of the host gives. Its error becomes a failure. */
function attempted(call, failed) {
    try {
        return call();
    } catch ({ payload }) {
        throw failed(payload);
    }
}

function fieldsOf(headers) {
    const encoder = new TextEncoder();
    const fields = Object.entries(headers).map(([name, value]) => [name, encoder.encode(value)]);
    const refused = () => failure('config', 'a header cannot be sent', { pointer: '/client/headers' });
    return attempted(() => Fields.fromList(fields), refused);
}

function wait(future) {
    using ready = future.subscribe();
    ready.block();
}

/** How long the API asks to wait, in milliseconds. It says so in seconds, or by a date. */
function retryAfterOf(response) {
    using headers = response.headers();
    const [value] = headers.get('retry-after');
    if (value === undefined) return undefined;
    const text = new TextDecoder().decode(value);
    const wait = /^\d{1,9}$/.test(text) ? text * 1000 : Math.max(0, Date.parse(text) - Date.now());
    // What is no time, or one in a hundred years, is none.
    return Number.isNaN(wait) ? undefined : BigInt(wait);
}

function textOf(response, place) {
    using body = response.consume();
    using stream = body.stream();
    const decoder = new TextDecoder();
    let text = '';
    for (;;) {
        try {
            text += decoder.decode(stream.blockingRead(65_536n), { stream: true });
        } catch ({ payload }) {
            if (payload.tag === 'closed') return text;
            using error = payload.val;
            throw failure('transient', `the answer broke off: ${error.toDebugString()}`, place);
        }
    }
}
