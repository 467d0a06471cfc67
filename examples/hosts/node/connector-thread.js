// The component, in a thread of its own: a call of it returns only when there is something to say.

import { parentPort, workerData } from 'node:worker_threads';

const { source } = await import(workerData);
let reader;

const calls = {
    spec: source.spec,
    describe: source.describe,
    check: source.check,
    open(request) {
        reader = source.Reader.open(request);
    },
    next(maxRows, maxBytes) {
        return reader.next(maxRows, maxBytes);
    },
};

parentPort.on('message', ({ name, parameters }) => {
    let answer;
    try {
        answer = { value: calls[name](...parameters) };
    } catch (failure) {
        // What the component tells is a record, or a list of them. An `Error` says that it broke down, which ends the thread.
        if (failure instanceof Error) throw failure;
        answer = { failure };
    }
    parentPort.postMessage(answer);
});
