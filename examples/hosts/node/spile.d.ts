/**
 * Reads REST APIs with Spile's component: rows of tables, a batch at a time.
 *
 * @module
 */

/**
 * The `source` part of a pipeline file, as an object. A secret is named, `{ secret: "api_key" }`, wherever a text may stand; its
 * value is given in {@link Options.secrets}. {@link spec} gives the JSON Schema.
 */
export type Config = object;

/** What every function takes. */
export interface ComponentOptions {
    /** The transpiled component: the URL of its module. `component/spile.js` beside this module if absent. */
    component?: URL | string;
    /**
     * Whether it is the component of WASI 0.3, `component/spile-streaming.js` beside this module if `component` is absent. It runs in
     * the thread of whoever calls. Needs Node 24.
     */
    streaming?: boolean;
    /** Ends a call that is under way, and what belongs to it; the call throws the signal's reason. */
    signal?: AbortSignal;
}

/** How a source is described. */
export interface SourceOptions extends ComponentOptions {
    /** Values of path variables, by name: `{ user_id: "acme" }`. */
    params?: Record<string, string | number | boolean>;
    /** What fills a path variable from another resource's records: `{ app_id: "applications.id" }`. */
    bindings?: Record<string, string>;
}

/** How a source is asked. */
export interface CheckOptions extends SourceOptions {
    /** Values of secrets, by name. They do not appear in errors. */
    secrets?: Record<string, string>;
}

/** How a source is read. */
export interface Options extends CheckOptions {
    /** Resources to deliver; all that the configuration selects if absent. */
    resources?: string[];
    /** A state of an earlier run, to go on with the row after it. */
    state?: string;
    /** The last schema of an earlier run. Without it, types of columns are found anew. */
    schema?: string;
    /** How many requests may be in flight at once, 1 to 64; 8 if absent. */
    window?: number;
    /** At most so many root records in a batch; 1000 if absent. */
    maxRows?: number;
    /** About so many bytes in a batch, at least one record; 1 MiB if absent. */
    maxBytes?: number;
    /** Names the run in the column `_dlt_load_id`; the time in seconds if absent. */
    loadId?: string | number;
    /** Resources with a cursor begin here, whatever the state says: a date, a date-time or a number, as the cursor is. */
    since?: string | number;
    /** Resources with a cursor end before this. */
    until?: string | number;
    /** Forget the cursors that the state has of the resources that are read. */
    fullRefresh?: boolean;
}

/**
 * The JSON Schema (2020-12) of the configuration, as JSON text.
 */
export function spec(options?: ComponentOptions): Promise<string>;

/**
 * Tells what a configuration asks for. Makes no request, and needs no secrets.
 *
 * @throws {SpileError} it shows all defects of the configuration, and has them in `errors`
 */
export function describe(config: Config, options?: SourceOptions): Promise<Description>;

/**
 * Makes one cheap request: the first page of the first resource.
 *
 * @throws {SpileError}
 */
export function check(config: Config, options?: CheckOptions): Promise<void>;

/**
 * Reads a source, a batch at a time. A batch is asked for when the consumer wants one. Ends with the summary of the run, which is
 * what the generator returns. Leaving the loop early, or `return()`, ends the reader and all that it does.
 *
 * @throws {SpileError}
 */
export function batches(config: Config, options?: Options): AsyncGenerator<Batch, Summary, void>;

/**
 * Reads a source, a row at a time, each with the name of its table. Ends as {@link batches}.
 *
 * @throws {SpileError}
 */
export function rows(config: Config, options?: Options): AsyncGenerator<[table: string, row: Row], Summary, void>;

/**
 * A row: its columns that are not null. Instants, dates and times are texts (ISO 8601), bytes are Base64, an integer beyond 2^53 is a
 * `bigint`.
 */
export type Row = Record<string, string | number | bigint | boolean>;

/** Rows, and where to go on after them. */
export interface Batch {
    /** Rows by table. All rows that stem from one record are in the same batch. */
    tables: TableRows[];
    /** Covers exactly the rows delivered so far: keep it with them. */
    state: string;
    /** The schema so far; present where this batch changed it. */
    schema?: string;
    /** Values that did not simply go into their columns. */
    changes: Change[];
    /** Counts so far, by resource. */
    counts: ResourceCounts[];
}

/** Rows of one table in a batch. */
export interface TableRows {
    /** The table. */
    table: string;
    /** The resource that the rows belong to. */
    resource: string;
    /** The table that these rows are children of. */
    parent?: string;
    /** How many rows. */
    rowCount: number;
    /** The rows, parsed from `ndjson` when they are first looked at. */
    readonly rows: Row[];
    /** The rows as they came: one JSON object a line. */
    ndjson: string;
    /**
     * For rows of a child table: of each the place, from 0, of the root row that it stems from among the rows of the root table in
     * this batch. Empty for rows of a root table.
     */
    roots: Uint32Array;
    /** Columns that the table did not have before, in the order in which they are to be added. */
    newColumns: Column[];
    /** Columns whose type is a wider one from these rows on. */
    widenedColumns: Column[];
}

/** A column of a table. */
export interface Column {
    /** Its name. */
    name: string;
    /** Its type. */
    dataType: DataType;
    /** Whether it may be null. */
    nullable: boolean;
}

/** The type of a column. A decimal has a precision and a scale. */
export type DataType =
    | {
          tag:
              | 'text'
              | 'bigint'
              | 'double'
              | 'boolean'
              | 'timestamp'
              | 'local-timestamp'
              | 'date'
              | 'time'
              | 'binary'
              | 'json';
      }
    | { tag: 'decimal'; val: [precision: number, scale: number] };

/** What became of values of one column that did not simply go into it, or of rows of one table. */
export interface Change {
    /** The resource. */
    resource: string;
    /** The table. */
    table: string;
    /** The column; absent where whole rows are meant. */
    column?: string;
    /**
     * `coerced`: converted to the type of its column. `variant`: put into another column, which is `column`. `discarded-value`: left
     * out. `discarded-row`: left out with its row.
     */
    kind: 'coerced' | 'variant' | 'discarded-value' | 'discarded-row';
    /** How many in this batch. */
    count: number;
    /** The first of them as JSON text, cut where it is long. */
    sample: string;
}

/** What a resource has cost and given since the reader was opened. */
export interface ResourceCounts {
    /** The resource. */
    resource: string;
    /** Requests sent, retries included. */
    requests: number;
    /** Requests that were a repetition after a failure. */
    retries: number;
    /** Pages received. */
    pages: number;
    /** Rows of the root table handed over. */
    rows: number;
    /** Records dropped by a filter. */
    filtered: number;
}

/** The end of a run. */
export interface Summary {
    /** The state for the next run. */
    state: string;
    /** Counts of the whole run, by resource. */
    counts: ResourceCounts[];
    /** What looks wrong though nothing failed, such as a selector that matched nothing. */
    warnings: SpileError[];
}

/** What a configuration asks for. */
export interface Description {
    /** The resources, in the order of the configuration. */
    resources: ResourceDescription[];
    /** Every origin (`scheme://host:port`) that the configuration can reach, sorted. */
    origins: string[];
    /** The secrets that it names. */
    slots: Slot[];
    /** Things that work but are better said otherwise. */
    warnings: SpileError[];
}

/** One resource of a source. */
export interface ResourceDescription {
    /** Its name. */
    name: string;
    /** Its root table. */
    table: string;
    /** The resource whose records its requests depend on. */
    parent?: string;
    /** Key columns, by their names in the table. */
    primaryKey: string[];
    /** How its rows are to be written. */
    writeDisposition: WriteDisposition;
    /** The HTTP method of its requests; empty where it makes none. */
    method: string;
    /** The URL of its first request, likewise; path variables that no parameter fills stand as `{name}`. */
    url: string;
    /** Whether its rows are delivered. */
    selected: boolean;
    /** Path variables that nothing binds yet. */
    unbound: string[];
    /** JSONPath to the cursor in its records; absent where it is read whole each time. */
    cursor?: string;
}

/** A named secret, and the only origins that it is sent to. */
export interface Slot {
    /** Its name in the configuration. */
    name: string;
    /** Origins (`scheme://host:port`). */
    origins: string[];
}

/** How rows of a resource meet the rows that a destination already has. */
export type WriteDisposition = { tag: 'append' } | { tag: 'replace' } | { tag: 'merge'; val: Merge };

/** How rows are merged. */
export interface Merge {
    /** What becomes of rows that are there. */
    strategy: MergeStrategy;
    /** Which of the rows of a run with the same primary key stays; `val` is the column that tells. */
    duplicates: { tag: 'keep-last' | 'keep-all' } | { tag: 'keep-smallest' | 'keep-largest'; val: string };
    /** The column that says that a row is to be deleted. */
    hardDelete?: string;
}

/** What becomes of rows that are there; the value of `delete-insert` is the merge key. */
export type MergeStrategy =
    { tag: 'delete-insert'; val: string[] } | { tag: 'upsert' | 'insert-only' } | { tag: 'scd2'; val: Scd2 };

/** Versions of rows, each with the time in which it was valid. Instants are microseconds since 1970-01-01T00:00:00Z. */
export interface Scd2 {
    /** The column with the instant from which a version is valid. */
    validFrom: string;
    /** The column with the instant at which it ends. */
    validTo: string;
    /** The column that tells versions apart. */
    rowVersion: string;
    /** If not empty: versions end only where the run delivers rows with the same values in these columns. */
    mergeKey: string[];
    /** What stands as the end of a version that is valid; null where absent. */
    active?: bigint;
    /** When versions end and begin; the beginning of the load where absent. */
    boundary?: bigint;
}

/**
 * What went wrong. `config`: fix the file. `auth`: the API does not accept the credentials. `permission`: they do not permit this.
 * `rate-limited`: the API still limits the rate after the last attempt. `transient`: a failure that may pass. `schema`: the data
 * does not fit the schema. `limit`: a cap was reached. `upstream`: the API answered with something unexpected. `internal`: a
 * defect of the connector.
 */
export type ErrorKind =
    'config' | 'auth' | 'permission' | 'rate-limited' | 'transient' | 'schema' | 'limit' | 'upstream' | 'internal';

/** A failure. `message` is made of the fields below, for a person. */
export class SpileError extends Error {
    /** The case. */
    readonly kind: ErrorKind;
    /** What happened: a lower-case fragment. */
    readonly reason: string;
    /** The resource that was being read. */
    readonly resource?: string;
    /** JSON pointer (RFC 6901) into the configuration. */
    readonly pointer?: string;
    /** What to do about it. */
    readonly advice?: string;
    /** HTTP status of the last response. */
    readonly status?: number;
    /** URL of the request, without secrets. */
    readonly url?: string;
    /** How many times the request was sent. */
    readonly attempts?: number;
    /** Milliseconds that the API asked to wait. */
    readonly retryAfter?: number;
    /** All errors, where this one stands for several; else empty. */
    readonly errors: SpileError[];
    /** Made by this library. */
    private constructor();
}
