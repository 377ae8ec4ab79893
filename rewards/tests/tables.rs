//! The tables of invariants and of mistakes name tests; every name must be one.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path, into: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
            into.push((stem, std::fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Everything between backticks that is `module::name`, a name that ends in `…` being the beginning of one.
fn named(text: &str) -> Vec<(String, String)> {
    let inside = text.split('`').skip(1).step_by(2);
    let names = inside.filter_map(|token| token.split_once("::"));
    names
        .filter(|(module, name)| {
            let plain =
                |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || "_0123456789…".contains(c));
            plain(module) && plain(name) && name.contains('_')
        })
        .map(|(module, name)| (module.to_owned(), name.to_owned()))
        .collect()
}

#[test]
fn every_test_named_in_a_table_exists() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    sources(&root().join("tests"), &mut files);
    for (table, least) in [("INVARIANTS.md", 50), ("MUTANTS.md", 18)] {
        let text = std::fs::read_to_string(root().join(table)).unwrap();
        let names = named(&text);
        assert!(names.len() >= least, "{table} names {} tests", names.len());
        for (module, name) in names {
            let end = if name.ends_with('…') { "" } else { "(" };
            let wanted = format!("fn {}{end}", name.trim_end_matches('…'));
            let found = files.iter().any(|(stem, source)| *stem == module && source.contains(&wanted));
            assert!(found, "{table}: there is no {module}::{name}");
        }
    }
}

#[test]
fn every_invariant_has_its_row() {
    let text = std::fs::read_to_string(root().join("INVARIANTS.md")).unwrap();
    for number in 1..=26 {
        let row = text.lines().find(|line| line.starts_with(&format!("| I{number} |")));
        assert!(row.is_some_and(|row| !named(row).is_empty()), "I{number} has no test");
    }
}
