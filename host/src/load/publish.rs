//! The end of a run, in one transaction: final tables get their new columns, staged rows are merged, the load is noted.

use base64::{Engine, engine::general_purpose::STANDARD};
use sha3::{Digest, Sha3_256};

use super::{
    Options, Published, ResourcePlan, by_hand, load_id,
    merge::{ChainTable, merge},
    package::{KnownTable, drop_table},
    staging_table::{ROOT, SEQUENCE, traits},
};
use crate::{
    changes::Changes,
    destination::{Catalog, Columns, DataType, Session, StoredColumn, Value, dialect::Dialect},
    error::Result,
};

pub(super) const LOADS_TABLE: &str = "_dlt_loads";

/// Publishes the staged rows of a package. To be called in a transaction that has proved the fence, with what the database has at its beginning.
pub(super) fn publish(
    session: &mut Session,
    options: &Options,
    load_id: &str,
    schema: Option<&str>,
    tables: &[KnownTable],
    catalog: &Catalog,
) -> Result<Published> {
    let began = load_id::began(load_id);
    let Catalog { last: before, staged: staging } = catalog;
    let mut published = Published {
        load_id: load_id.to_owned(),
        tables: Vec::new(),
        changes: Changes::default(),
        warnings: Vec::new(),
    };
    let mut chains = Vec::new();
    for (index, plan) in options.resources.iter().enumerate() {
        if plan.merges_without_a_key() {
            published
                .warnings
                .push(format!("resource `{}` merges without a key: its rows were appended", plan.resource));
        }
        if options.resources.iter().take(index).any(|earlier| earlier.table == plan.table) {
            continue;
        }
        let mut chain = chain(session, options, plan, tables, catalog);
        for table in &mut chain {
            let stored = before.get(&table.known.table).map(Vec::as_slice).unwrap_or_default();
            let more = if table.known.parent.is_none() { plan.columns(session.dialect()) } else { Vec::new() };
            published.warnings.extend(by_hand::check(
                table.known,
                before.get(&table.known.table).map(Vec::as_slice),
                table.columns,
                session.dialect(),
            )?);
            let created = migrate(session, &table.last, table.columns, &more, stored)?;
            table.plain = created.filter(|_| session.dialect().plain_tables_query().is_some());
        }
        if options.full_refresh {
            for table in chain.iter().filter(|table| !table.is_new) {
                session.run(&format!("DELETE FROM {}", table.last), &[])?;
            }
        }
        if plan.has_root_ids() {
            give_root_ids(session, &chain, before)?;
        }
        chains.push((plan, chain));
    }
    // Once all tables are as they are to be.
    let is_known = |table: &ChainTable<'_>| table.is_new || table.staged.is_none();
    let mut plain = match chains.iter().flat_map(|(_, chain)| chain).all(is_known) {
        true => Columns::new(),
        false => session.plain_tables(&options.dataset)?,
    };
    for (plan, mut chain) in chains {
        for table in chain.iter_mut().filter(|table| !table.is_new) {
            table.plain = plain.remove(&table.known.table);
        }
        published.tables.extend(merge(session, &chain, plan, began)?);
    }
    for table in tables.iter().filter(|table| table.staged > 0 || staging.contains_key(&table.table)) {
        session.run(&drop_table(session, options.staging(), &table.table), &[])?;
    }
    note_load(session, options, load_id, schema)?;
    Ok(published)
}

/// The tables of a plan that exist or come into being, the root table first.
fn chain<'a>(
    session: &Session,
    options: &Options,
    plan: &ResourcePlan,
    tables: &'a [KnownTable],
    catalog: &'a Catalog,
) -> Vec<ChainTable<'a>> {
    let mut chain: Vec<_> = tables
        .iter()
        .filter(|known| known.root == plan.table)
        .filter_map(|known| {
            let columns = catalog.staged.get(&known.table);
            let is_new = !catalog.last.contains_key(&known.table);
            (columns.is_some() || !is_new).then(|| ChainTable {
                known,
                is_new,
                last: session.qualified(&options.dataset, &known.table),
                staged: columns.map(|_| session.qualified(options.staging(), &known.table)),
                columns: columns.map(Vec::as_slice).unwrap_or_default(),
                plain: None,
            })
        })
        .collect();
    chain.sort_by_key(|table| table.known.parent.is_some());
    chain
}

/// Creates a final table with the staging table's columns and some more, or adds those that it lacks, and widens those that are too narrow
/// for the staged values. A column that is added later may be null: the rows that are there have no value in it. Gives the columns of a
/// table that it created.
fn migrate(
    session: &mut Session,
    name: &str,
    staged: &[StoredColumn],
    more: &[StoredColumn],
    stored: &[StoredColumn],
) -> Result<Option<Vec<StoredColumn>>> {
    let more = more.iter().filter(|column| staged.iter().all(|other| other.name != column.name));
    let new: Vec<_> = staged
        .iter()
        .chain(more)
        .filter(|column| {
            ![SEQUENCE, ROOT].contains(&column.name.as_str()) && !stored.iter().any(|other| other.name == column.name)
        })
        .map(|column| (session.dialect().quote(&column.name), column))
        .collect();
    for column in staged {
        let Some(other) = stored.iter().find(|other| other.name == column.name) else { continue };
        let dialect = session.dialect();
        if let (Some(narrow), Some(wide)) = (dialect.data_type(&other.declared), dialect.data_type(&column.declared))
            && narrow.widens_to(wide)
        {
            for statement in dialect.change_type(name, &dialect.quote(&column.name), &dialect.column_type(wide)) {
                session.run(&statement, &[])?;
            }
        }
    }
    if !stored.is_empty() {
        for (quoted, column) in new {
            let column_type = final_type(column, session.dialect());
            session.run(&format!("ALTER TABLE {name} ADD COLUMN {quoted} {column_type}"), &[])?;
        }
        return Ok(None);
    }
    let dialect = session.dialect();
    let definitions = new.iter().map(|(quoted, column)| {
        format!("{quoted} {}{}", final_type(column, dialect), traits(&column.name, column.nullable, dialect))
    });
    session.run(&format!("CREATE TABLE {name} ({})", definitions.collect::<Vec<_>>().join(", ")), &[])?;
    let created =
        new.into_iter().map(|(_, column)| StoredColumn { declared: final_type(column, dialect), ..column.clone() });
    Ok(Some(created.collect()))
}

/// The type that a final table has for a column of a staging table.
fn final_type(column: &StoredColumn, dialect: &dyn Dialect) -> String {
    dialect
        .data_type(&column.declared)
        .map_or_else(|| column.declared.clone(), |data_type| dialect.column_type(data_type))
}

/// Gives `_dlt_root_id` to child tables from a time when the resource was not merged; without it their rows would outlive
/// the root rows that they belong to.
fn give_root_ids(session: &mut Session, chain: &[ChainTable<'_>], before: &Columns) -> Result<()> {
    let has = |table: &str, name: &str| {
        before.get(table).is_some_and(|columns| columns.iter().any(|column| column.name == name))
    };
    let mut parents = Vec::new();
    for table in chain {
        let known = table.known;
        let Some(parent) = &known.parent else { continue };
        if !before.contains_key(&known.table) || has(&known.table, "_dlt_root_id") {
            continue;
        }
        if !table.columns.iter().any(|column| column.name == "_dlt_root_id") {
            let text = session.dialect().column_type(DataType::Text);
            session.run(&format!("ALTER TABLE {} ADD COLUMN \"_dlt_root_id\" {text}", table.last), &[])?;
        }
        let parent = chain.iter().find(|other| other.known.table == *parent);
        if let Some(parent) = parent.filter(|_| has(&known.table, "_dlt_parent_id")) {
            parents.push((table, parent));
        }
    }
    // A grandchild gets its root's id from its parent, once that one has it.
    let mut changed = !parents.is_empty();
    while changed {
        changed = false;
        for (table, parent) in &parents {
            let id = if parent.known.parent.is_none() { "_dlt_id" } else { "_dlt_root_id" };
            let sql = format!(
                "UPDATE {} AS c SET \"_dlt_root_id\" = p.\"{id}\" FROM {} AS p \
                 WHERE c.\"_dlt_parent_id\" = p.\"_dlt_id\" AND c.\"_dlt_root_id\" IS NULL AND p.\"{id}\" IS NOT NULL",
                table.last, parent.last
            );
            changed |= session.run(&sql, &[])? > 0;
        }
    }
    Ok(())
}

/// Notes the load in `_dlt_loads`, as dlt does: a load that is absent from it is not complete.
fn note_load(session: &mut Session, options: &Options, load_id: &str, schema: Option<&str>) -> Result<()> {
    let name = session.qualified(&options.dataset, LOADS_TABLE);
    let column_type = |data_type| session.dialect().column_type(data_type);
    let (text, bigint) = (column_type(DataType::Text), column_type(DataType::Bigint));
    let create = format!(
        "CREATE TABLE IF NOT EXISTS {name} (\"load_id\" {text} NOT NULL, \"schema_name\" {text}, \"status\" {bigint} NOT NULL, \
         \"inserted_at\" {} NOT NULL, \"schema_version_hash\" {text})",
        column_type(DataType::Timestamp)
    );
    session.run(&create, &[])?;
    let hash = schema.map(version_hash);
    let insert = format!(
        "INSERT INTO {name} (\"load_id\", \"schema_name\", \"status\", \"inserted_at\", \"schema_version_hash\") \
         VALUES ($1, $2, 0, {}, $3)",
        session.dialect().now()
    );
    let values = [Value::Text(Some(load_id)), Value::Text(Some(&options.pipeline)), Value::Text(hash.as_deref())];
    session.run(&insert, &values).map(drop)
}

/// What tells versions of a schema apart, as dlt writes it.
pub(super) fn version_hash(schema: &str) -> String {
    STANDARD.encode(Sha3_256::digest(schema))
}
