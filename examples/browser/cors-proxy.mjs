// Stands before an API that permits no pages from elsewhere, and permits them: for trying with an API on your own machine.
//
//     node cors-proxy.mjs 8303 http://127.0.0.1:8301

import { createServer, request } from 'node:http';

/** Listens on the port, 0 for a free one, and hands on to the API; gives the server once it listens. */
export async function serve(port, api) {
    const server = createServer((incoming, outgoing) => {
        const permit = { 'access-control-allow-origin': '*', 'access-control-expose-headers': '*' };
        if (incoming.method === 'OPTIONS') {
            const headers = incoming.headers['access-control-request-headers'] ?? '';
            const methods = 'GET, POST, PUT, PATCH';
            outgoing.writeHead(204, {
                ...permit,
                'access-control-allow-headers': headers,
                'access-control-allow-methods': methods,
            });
            outgoing.end();
            return;
        }
        const { host, ...headers } = incoming.headers;
        const onward = request(new URL(incoming.url, api), { method: incoming.method, headers }, (answer) => {
            outgoing.writeHead(answer.statusCode, { ...answer.headers, ...permit });
            answer.pipe(outgoing);
        });
        onward.on('error', () => outgoing.destroy());
        outgoing.on('close', () => onward.destroy());
        incoming.pipe(onward);
    });
    await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
    return server;
}

if (import.meta.filename === process.argv[1]) {
    const [port, api] = process.argv.slice(2);
    await serve(Number(port), api);
    console.log(`http://127.0.0.1:${port} → ${api}`);
}
