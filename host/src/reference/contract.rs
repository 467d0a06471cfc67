//! The items of the contract, as Markdown, from its WIT.

use super::on_one_line;
use std::path::Path;
use wit_parser::{Docs, Function, Handle, Resolve, Type, TypeDef, TypeDefKind};

/// The reference of the package in a folder.
pub fn of(folder: &Path) -> String {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(folder).unwrap();
    let package = &resolve.packages[package];
    let interface = &resolve.interfaces[package.interfaces["source"]];
    let world = &resolve.worlds[package.worlds["connector"]];
    let said: String = [&package.docs, &world.docs, &interface.docs].map(paragraphs).concat();
    let types: String = interface.types.values().map(|id| of_type(&resolve, &resolve.types[*id])).collect();
    let functions: String = interface.functions.values().map(|function| of_function(&resolve, function)).collect();
    format!("{said}## Types\n{types}\n## Functions\n{functions}")
}

fn of_type(resolve: &Resolve, item: &TypeDef) -> String {
    let row = |name: &str, of: Option<&Type>, docs: &Docs| match of {
        Some(of) => format!("| `{name}` | {} | {} |\n", shown(resolve, of), line(docs)),
        None => format!("| `{name}` | | {} |\n", line(docs)),
    };
    let table = |first: &str, rows: String| format!("\n| {first} | type | what |\n|---|---|---|\n{rows}");
    let (kind, parts) = match &item.kind {
        TypeDefKind::Record(record) => {
            let rows = record.fields.iter().map(|field| row(&field.name, Some(&field.ty), &field.docs));
            ("Record", table("field", rows.collect()))
        }
        TypeDefKind::Variant(variant) => {
            let rows = variant.cases.iter().map(|case| row(&case.name, case.ty.as_ref(), &case.docs));
            ("Variant", table("case", rows.collect()))
        }
        TypeDefKind::Enum(cases) => {
            let rows = cases.cases.iter().map(|case| format!("| `{}` | {} |\n", case.name, line(&case.docs)));
            ("Enum", format!("\n| case | what |\n|---|---|\n{}", rows.collect::<String>()))
        }
        TypeDefKind::Resource => ("Resource", String::new()),
        kind => panic!("the contract has a {}, of which nothing is said here", kind.as_str()),
    };
    format!("\n### {}\n\n*{kind}.* {}\n{parts}", item.name.as_deref().unwrap(), paragraphs(&item.docs).trim_end())
}

fn of_function(resolve: &Resolve, function: &Function) -> String {
    // `[method]reader.next`, whose first parameter is the reader.
    let (is_method, name) = match function.name.split_once(']') {
        Some((kind, name)) => (kind == "[method", name),
        None => (false, function.name.as_str()),
    };
    let takes = function.params.iter().skip(usize::from(is_method));
    let takes: Vec<_> = takes.map(|param| format!("`{}`: {}", param.name, shown(resolve, &param.ty))).collect();
    let takes = if takes.is_empty() { "nothing".to_owned() } else { takes.join(", ") };
    let gives = function.result.as_ref().map_or_else(|| "nothing".to_owned(), |of| shown(resolve, of));
    format!("\n### {name}\n\n{}Takes {takes}. Gives {gives}.\n", paragraphs(&function.docs))
}

/// A type, with links to those that have a section.
fn shown(resolve: &Resolve, of: &Type) -> String {
    let Type::Id(id) = of else { return of_plain(of) };
    let item = &resolve.types[*id];
    if let Some(name) = &item.name {
        return format!("[{name}](#{name})");
    }
    match &item.kind {
        TypeDefKind::Type(of) => shown(resolve, of),
        TypeDefKind::Option(of) => format!("option of {}", shown(resolve, of)),
        TypeDefKind::List(of) => format!("list of {}", shown(resolve, of)),
        TypeDefKind::Tuple(of) => {
            let parts: Vec<_> = of.types.iter().map(|of| shown(resolve, of)).collect();
            format!("({})", parts.join(", "))
        }
        TypeDefKind::Result(of) => {
            let [ok, err] =
                [&of.ok, &of.err].map(|of| of.as_ref().map_or("nothing".to_owned(), |of| shown(resolve, of)));
            format!("{ok}, or as a failure {err}")
        }
        TypeDefKind::Handle(Handle::Own(id) | Handle::Borrow(id)) => shown(resolve, &Type::Id(*id)),
        kind => panic!("the contract has a {}, of which nothing is said here", kind.as_str()),
    }
}

fn of_plain(of: &Type) -> String {
    format!("{of:?}").to_lowercase()
}

/// What is said of an item, paragraph by paragraph.
fn paragraphs(docs: &Docs) -> String {
    docs.contents.as_deref().map_or_else(String::new, |text| format!("{}\n\n", text.trim()))
}

/// What is said of a part, in a cell.
fn line(docs: &Docs) -> String {
    on_one_line(docs.contents.as_deref().unwrap_or_default()).replace('|', "\\|")
}
