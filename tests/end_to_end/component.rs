//! The component as it is built: what it may reach, and how large it is.

use std::{fs, path::Path};

use spile_host::component::Artifact;

use crate::program::PROGRAM;

/// More than this needs a reason; what there is beyond two megabytes has one (docs/decisions/0008).
const LARGEST: usize = 4 << 20;

#[test]
fn the_component_imports_what_the_list_says() {
    let component =
        fs::read(Path::new(PROGRAM).with_file_name("spile.wasm")).expect("the component beside the program");
    assert!(component == spile_host::COMPONENT, "the component beside the program is not the one within it");
    let artifact = Artifact::new(component.clone()).unwrap();
    let mut imports: Vec<_> = artifact.imports().iter().map(|import| format!("{import}\n")).collect();
    imports.sort();
    println!("{} bytes; it imports\n{}", component.len(), imports.concat());
    assert_eq!(imports.concat(), include_str!("imports.txt"));
    assert!(component.len() < LARGEST, "{} bytes", component.len());
}
