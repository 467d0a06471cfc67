// The component, in a worker: it computes beside the page, and can be ended at any time.

const component = import('./component/spile.js');
let reader;

const calls = {
    describe: (source, config) => source.describe(config),
    open(source, request) {
        reader = source.Reader.open(request);
    },
    next: (source, maxRows, maxBytes) => reader.next(maxRows, maxBytes),
};

onmessage = async ({ data: { name, parameters } }) => {
    try {
        const { source } = await component;
        postMessage({ value: await calls[name](source, ...parameters) });
    } catch (failure) {
        // What the component tells is a record, or a list of them. An `Error` says that it broke down.
        postMessage(failure instanceof Error ? { defect: failure.message } : { failures: [failure].flat() });
    }
};
