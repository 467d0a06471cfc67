import { Worker } from 'node:worker_threads';
import { SpileError } from './error.js';

/**
 * An instance of the component. It lives in a thread of its own, so the event loop stays free while a call blocks.
 *
 * The thread keeps the process alive while a call is under way, and not in between.
 */
export class Connector {
    #thread;
    #signal;
    #redact;
    /** Settles the call that is under way; there is at most one. */
    #call;
    /** Why there can be no more calls. */
    #broken;

    /**
     * @param {URL} component the transpiled module
     * @param {(text: string) => string} redact takes secrets out of what the component tells
     * @param {AbortSignal} [signal] ends a call that is under way
     */
    constructor(component, redact, signal) {
        this.#signal = signal;
        this.#redact = redact;
        this.#thread = new Worker(new URL('./connector-thread.js', import.meta.url), {
            workerData: component.href,
            execArgv: [],
        });
        this.#thread.on('message', (answer) => this.#call?.resolve(answer));
        const broken = (error) => {
            this.#broken ??= brokenDown(error, component);
            this.#call?.reject(this.#broken);
        };
        this.#thread.on('error', broken);
        this.#thread.on('exit', () => broken(new Error('its thread ended')));
    }

    /** Calls a function of the component, and throws a `SpileError` where it fails. */
    async call(name, ...parameters) {
        this.#signal?.throwIfAborted();
        if (this.#broken) throw this.#broken;
        const abort = () => this.#call.reject(this.#signal.reason);
        this.#signal?.addEventListener('abort', abort);
        try {
            const { value, failure } = await new Promise((resolve, reject) => {
                this.#call = { resolve, reject };
                this.#thread.ref();
                this.#thread.postMessage({ name, parameters });
            });
            if (failure) throw SpileError.from(failure, this.#redact);
            return value;
        } finally {
            this.#call = undefined;
            this.#thread.unref();
            this.#signal?.removeEventListener('abort', abort);
        }
    }

    /** Ends the thread, and with it the reader and every request that is in flight. */
    async stop() {
        await this.#thread.terminate();
    }
}

/** The component, or the runtime under it, is broken. */
export function brokenDown(error, component) {
    const missing = ['ERR_MODULE_NOT_FOUND', 'ENOENT'].includes(error.code);
    return new SpileError({
        kind: missing ? 'config' : 'internal',
        reason: missing
            ? `there is no transpiled component at ${component}`
            : `the connector broke down: ${error.message}`,
        advice: missing ? 'run `npm install` and `npm run transpile`' : 'please report it',
        cause: error,
    });
}
