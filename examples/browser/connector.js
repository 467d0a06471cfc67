/** What the component tells: one failure, or all defects of a configuration. */
export class Failed extends Error {
    /** @param {object[]} failures records of the contract: `kind`, `message`, and what else is known */
    constructor(failures) {
        super(failures.map(({ message }) => message).join('\n'));
        this.failures = failures;
    }
}

/** An instance of the component, in a worker of its own. */
export class Connector {
    #worker = new Worker(new URL('./connector-thread.js', import.meta.url), { type: 'module' });
    /** Takes the answer to the call that is under way; there is at most one. */
    #answered;

    constructor() {
        this.#worker.onmessage = ({ data }) => this.#answered(data);
        this.#worker.onerror = () => this.#answered({ defect: 'its worker could not be loaded' });
    }

    /** Calls a function of the component, and throws `Failed` where it fails. */
    async call(name, ...parameters) {
        this.#worker.postMessage({ name, parameters });
        const { value, failures, defect } = await new Promise((resolve) => {
            this.#answered = resolve;
        });
        if (failures) throw new Failed(failures);
        if (defect) throw new Failed([{ kind: 'internal', message: `the connector broke down: ${defect}` }]);
        return value;
    }

    /** Ends the worker, and with it every request that is in flight. A call that is under way never returns. */
    stop() {
        this.#worker.terminate();
    }
}
