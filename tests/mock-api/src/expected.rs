//! What a run that read everything must have loaded.

use crate::collection::Collection;
use crate::json::Json;
use crate::options::Options;
use crate::record;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Row counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Records of each collection, by resource name; a collection without records stands with 0.
    pub resources: BTreeMap<String, u64>,
    /// Rows of each root and child table by dlt's rules, by table name (`app_inputs__data__concepts`); tables without
    /// rows are left out.
    pub tables: BTreeMap<String, u64>,
}

impl Expected {
    /// Counts over all records of these options.
    pub fn of(options: &Options) -> Self {
        let mut expected = Self::default();
        for collection in Collection::ALL {
            let all = records(options, collection);
            expected.resources.insert(collection.resource().to_owned(), all.len() as u64);
            for record in &all {
                expected.count_row(collection.resource(), record);
            }
        }
        expected
    }

    /// As the program shows it: `{"resources": {…}, "tables": {…}}`.
    pub(crate) fn to_json(&self) -> Value {
        json!({ "resources": self.resources, "tables": self.tables })
    }

    /// Counts a row of the table, and the rows of the tables below it.
    fn count_row(&mut self, table: &str, row: &Value) {
        *self.tables.entry(table.to_owned()).or_default() += 1;
        match row {
            Value::Object(fields) => self.count_lists(table, fields),
            // A list in a list: its rows are those of a table `…__list`.
            Value::Array(items) => self.count_rows(&format!("{table}__list"), items),
            _ => {}
        }
    }

    /// An object has no table of its own: its fields are columns, its lists tables.
    fn count_lists(&mut self, prefix: &str, fields: &serde_json::Map<String, Value>) {
        for (key, value) in fields {
            let name = format!("{prefix}__{}", snake_case(key));
            match value {
                Value::Object(inner) => self.count_lists(&name, inner),
                Value::Array(items) => self.count_rows(&name, items),
                _ => {}
            }
        }
    }

    fn count_rows(&mut self, table: &str, rows: &[Value]) {
        for row in rows {
            self.count_row(table, row);
        }
    }
}

/// All records of a collection, parent by parent in the order of the API.
pub(crate) fn records(options: &Options, collection: Collection) -> Vec<Value> {
    let one = |parent, index| {
        let mut json = Json::default();
        record::write(&mut json, options, collection, parent, index);
        serde_json::from_slice(&json.into_bytes()).unwrap_or_default()
    };
    let of_parent = |parent| (0..collection.count(options)).map(move |index| one(parent, index));
    collection.parents(options).into_iter().flat_map(of_parent).collect()
}

/// Enough of dlt's naming for the keys of this crate, which are plain camelCase.
fn snake_case(key: &str) -> String {
    let mut name = String::with_capacity(key.len() + 4);
    for c in key.chars() {
        if c.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_roots_per_parent() {
        let options = Options { apps: 3, models: 2, versions: 5, inputs: 0, ..Options::default() };
        let expected = Expected::of(&options);
        assert_eq!(expected.resources["applications"], 3);
        assert_eq!(expected.resources["models"], 6);
        assert_eq!(expected.resources["model_versions"], 30);
        assert_eq!(expected.resources["app_inputs"], 0);
        assert_eq!(expected.tables["model_versions"], 30);
        assert!(!expected.tables.contains_key("app_inputs"));
    }

    #[test]
    fn counts_child_tables_at_every_depth() {
        let mut expected = Expected::default();
        let row = json!({"a": 1, "dataInfo": {"boxes": [{"p": [[1, 2], [3]]}, {}]}, "empty": [], "tags": ["x", "y"]});
        expected.count_row("t", &row);
        let tables: Vec<_> = expected.tables.iter().map(|(name, rows)| (name.as_str(), *rows)).collect();
        let all = [
            ("t", 1),
            ("t__data_info__boxes", 2),
            ("t__data_info__boxes__p", 2),
            ("t__data_info__boxes__p__list", 3),
            ("t__tags", 2),
        ];
        assert_eq!(tables, all);
    }

    #[test]
    fn a_revision_changes_child_rows_and_no_root_rows() {
        let before = Expected::of(&Options::default());
        let after = Expected::of(&Options { revision: 1, ..Options::default() });
        assert_eq!(before.resources, after.resources);
        assert_ne!(before.tables, after.tables);
    }
}
