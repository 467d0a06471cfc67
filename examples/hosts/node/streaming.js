import { readFile } from 'node:fs/promises';
import { brokenDown } from './connector.js';
import { SpileError } from './error.js';

/** Compiled modules of WebAssembly, by URL. */
const compiled = new Map();

/** An instance of the component of WASI 0.3. Its calls are promises, so it runs in the thread of whoever calls. */
export class StreamingConnector {
    #component;
    #signal;
    #redact;
    #instance;
    #request;
    /** What `read` gave: batches, and what comes after them. */
    #reading;
    #isStopped = false;

    /**
     * @param {URL} component the transpiled module
     * @param {(text: string) => string} redact takes secrets out of what the component tells
     * @param {AbortSignal} [signal] ends a call that is under way
     */
    constructor(component, redact, signal) {
        this.#component = component;
        this.#redact = redact;
        this.#signal = signal;
    }

    /** Calls a function as the contract of WASI 0.2 has it, and throws a `SpileError` where it fails. */
    async call(name, ...parameters) {
        this.#signal?.throwIfAborted();
        if (name === 'open') [this.#request] = parameters;
        else if (name === 'next') return this.#untilAborted(this.#next(...parameters));
        else return this.#untilAborted(this.#told((source) => source[name](...parameters)));
    }

    /** Lets go of the rows. Requests in flight are left to end by themselves, and their answers are not looked at. */
    async stop() {
        this.#isStopped = true;
        // What it gives too late is let go of too.
        const [batches, summary] = (await this.#reading?.catch(() => {})) ?? [];
        await batches?.return();
        // The component ends once its last word is heard.
        Promise.resolve(summary).catch(() => {});
    }

    async #next(maxRows, maxBytes) {
        this.#reading ??= this.#told((source) => {
            if (this.#isStopped) throw new Error('it was stopped before it began');
            return source.read(this.#request, maxRows, maxBytes);
        });
        // A stream is its own iterator.
        const [batches, summary] = await this.#reading;
        const { done, value } = await this.#told(() => batches.next());
        if (!done) return { tag: 'batch', val: value };
        const { tag, val } = await this.#told(() => summary);
        if (tag === 'err') throw SpileError.from(val, this.#redact);
        return { tag: 'done', val };
    }

    async #told(work) {
        try {
            this.#instance ??= instantiate(this.#component);
            const { source } = await this.#instance;
            return await work(source);
        } catch (error) {
            if (error instanceof SpileError) throw error;
            // What the component tells is a record, or a list of them. An `Error` says that it broke down.
            throw error instanceof Error ? brokenDown(error, this.#component) : SpileError.from(error, this.#redact);
        }
    }

    async #untilAborted(work) {
        if (!this.#signal) return work;
        let abort;
        const aborted = new Promise((_, reject) => {
            abort = () => reject(this.#signal.reason);
            this.#signal.addEventListener('abort', abort);
        });
        try {
            return await Promise.race([work, aborted]);
        } finally {
            this.#signal.removeEventListener('abort', abort);
        }
    }
}

/** Each reader has an instance of its own. */
async function instantiate(component) {
    if (!('Suspending' in WebAssembly)) {
        throw new SpileError({
            kind: 'config',
            reason: `the component of WASI 0.3 does not run in Node ${process.versions.node}`,
            advice: 'use Node 24 or later, or leave the option `streaming` out',
        });
    }
    const { instantiate } = await import(component);
    const { imports } = await import('./wasi-streaming.js');
    return instantiate((name) => compile(new URL(name, component)), imports);
}

function compile({ href }) {
    if (!compiled.has(href)) {
        const module = readFile(new URL(href)).then(WebAssembly.compile);
        module.catch(() => compiled.delete(href));
        compiled.set(href, module);
    }
    return compiled.get(href);
}
