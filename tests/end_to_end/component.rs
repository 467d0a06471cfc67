//! The component as it is built: what it may reach, and how large it is.

use std::{fs, path::Path};

use wasmparser::{Parser, Payload};

use crate::program::PROGRAM;

/// More than this needs a reason; what there is beyond two megabytes has one (docs/decisions/0008).
const LARGEST: usize = 4 << 20;

#[test]
fn the_component_imports_what_the_list_says() {
    let component =
        fs::read(Path::new(PROGRAM).with_file_name("spile.wasm")).expect("the component beside the program");
    assert!(component == spile_host::COMPONENT, "the component beside the program is not the one within it");
    let mut imports = Vec::new();
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(&component) {
        match payload.unwrap() {
            // Nested modules and components import from the outer one, not from the host.
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 0 => {
                imports.extend(section.into_iter().map(|import| import.unwrap().name.name.to_owned() + "\n"));
            }
            _ => {}
        }
    }
    imports.sort();
    println!("{} bytes; it imports\n{}", component.len(), imports.concat());
    assert_eq!(imports.concat(), include_str!("imports.txt"));
    assert!(component.len() < LARGEST, "{} bytes", component.len());
}
