//! The walls of the workspace: every manifest is read, and an edge that is not in the picture fails the build.
//!
//! ```text
//!         bins/…        examples/        fuzz/      may use everything below
//!           coins ──▶ stratum     rewards     storage-adapters
//!                          pool-core                no workspace package, no tokio, no clock
//! ```
//!
//! A third party who writes a coin, a scheme or a store depends on `pool-core` alone, so what stands below must never
//! learn of what stands above. A wall that only people guard is gone within a year; here it is data ([`PICTURE`]) and
//! one comparison. The tests below also break each rule on purpose, to see that it is kept for a reason.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Every library, by its folder, and the only workspace packages it may name, for whatever kind of dependency.
const PICTURE: &[(&str, &str, &[&str])] = &[
    ("pool-core", "pool-core", &[]),
    ("stratum", "pool-stratum", &["pool-core"]),
    ("rewards", "pool-rewards", &["pool-core"]),
    ("storage-adapters", "pool-storage", &["pool-core"]),
    ("coins", "pool-coins", &["pool-core", "pool-stratum"]),
];

/// Edges between composition roots, which the picture draws as one box, each with its reason.
const WITHIN_THE_BOX: &[(&str, &str, &str)] =
    &[("poolctl", "poold", "check-config reads and explains the very configuration that poold reads")];

/// Packages without an event loop, a clock, a socket or a file of their own.
const PURE: &[&str] = &["pool-core", "pool-rewards"];

/// What brings one of these in.
const RUNTIMES: &[&str] = &[
    "tokio",
    "async-std",
    "smol",
    "async-io",
    "mio",
    "socket2",
    "hyper",
    "tonic",
    "reqwest",
    "chrono",
    "time",
];

/// What such a package's source must not say, and why. `testing` is exempt: its suites run the tasks they test with.
const IMPURE_WORDS: &[&str] = &[
    "tokio::",
    "thread::spawn",
    "thread::sleep",
    "Instant::now",
    "SystemTime",
    "std::fs",
    "std::net",
    "std::env",
    "rand::rng",
    "f64",
    "f32",
];

/// Drawers for everything, in which nothing is found again.
const NO_NAMES: &[&str] = &["common", "utils", "util", "types", "prelude", "helpers", "misc"];
/// Endings of type names that say nothing.
const NO_ENDINGS: &[&str] = &["Manager", "Helper", "Info"];

/// One dependency of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Dependency {
    /// `dependencies`, `dev-dependencies` or `build-dependencies`.
    kind: String,
    /// The package it names, whatever it is called here.
    package: String,
    optional: bool,
    /// It names a folder.
    local: bool,
}

/// One manifest, as far as walls are concerned.
#[derive(Clone, Debug)]
struct Package {
    folder: String,
    name: String,
    dependencies: Vec<Dependency>,
    features: BTreeMap<String, Vec<String>>,
}

impl Package {
    /// True when some feature other than `only` switches an optional dependency on.
    fn is_reachable_without(&self, dependency: &str, only: &str) -> bool {
        let switches = [dependency.to_owned(), format!("dep:{dependency}")];
        let direct = |part: &String| switches.contains(part) || part.starts_with(&format!("{dependency}/"));
        let mut on: BTreeSet<&str> = BTreeSet::from([only]);
        on.extend(
            self.features.iter().filter(|(_, parts)| parts.iter().any(direct)).map(|(name, _)| name.as_str()),
        );
        // Features that switch those on, until there are no more.
        loop {
            let more = self.features.iter().find(|(name, parts)| {
                !on.contains(name.as_str()) && parts.iter().any(|part| on.contains(part.as_str()))
            });
            match more {
                Some((name, _)) => on.insert(name),
                None => break,
            };
        }
        on.len() > 1
    }
}

fn read(folder: &str, manifest: &Table, workspace: &Table) -> Package {
    let named = |table: &Table, key: &str| table.get(key).and_then(Value::as_str).map(ToOwned::to_owned);
    let shared = |name: &str| {
        let all = workspace.get("workspace").and_then(|workspace| workspace.get("dependencies"));
        all.and_then(|all| all.get(name)).and_then(Value::as_table).cloned().unwrap_or_default()
    };
    let mut dependencies = Vec::new();
    let mut sections: Vec<&Table> = vec![manifest];
    let targets = manifest.get("target").and_then(Value::as_table);
    sections.extend(targets.into_iter().flat_map(Table::values).filter_map(Value::as_table));
    for section in sections {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (name, value) in section.get(kind).and_then(Value::as_table).into_iter().flatten() {
                let own = value.as_table().cloned().unwrap_or_default();
                let flag = |key: &str| own.get(key).and_then(Value::as_bool).unwrap_or_default();
                let source = if flag("workspace") { shared(name) } else { own.clone() };
                dependencies.push(Dependency {
                    kind: kind.to_owned(),
                    package: named(&source, "package").unwrap_or_else(|| name.clone()),
                    optional: flag("optional"),
                    local: source.contains_key("path"),
                });
            }
        }
    }
    let parts = |value: &Value| {
        let parts = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        parts.map(ToOwned::to_owned).collect()
    };
    let features = manifest.get("features").and_then(Value::as_table).into_iter().flatten();
    Package {
        folder: folder.to_owned(),
        name: manifest
            .get("package")
            .and_then(|package| named(package.as_table()?, "name"))
            .unwrap_or_default(),
        dependencies,
        features: features.map(|(name, value)| (name.clone(), parts(value))).collect(),
    }
}

/// Everything that is wrong with these manifests, in words.
fn faults(packages: &[Package]) -> Vec<String> {
    let mut faults = Vec::new();
    let names: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let libraries: Vec<&str> = PICTURE.iter().map(|(_, name, _)| *name).collect();
    for package in packages {
        let Package { folder, name, .. } = package;
        let row = PICTURE.iter().find(|(place, library, _)| place == folder && library == name);
        let is_root = folder.starts_with("bins/") || folder == "examples" || folder == "fuzz";
        let allowed: &[&str] = match row {
            Some((_, _, allowed)) => allowed,
            None if is_root => &libraries,
            None => {
                faults.push(format!("{folder}: package {name} is not in the picture"));
                continue;
            }
        };
        if name.split(['-', '_']).any(|word| NO_NAMES.contains(&word)) {
            faults.push(format!("{folder}: {name} is a drawer for everything"));
        }
        for dependency in &package.dependencies {
            let to = dependency.package.as_str();
            // A crate may name itself for its own tests, to switch a feature on.
            if to == name && dependency.kind == "dev-dependencies" {
                continue;
            }
            let inside = WITHIN_THE_BOX.iter().any(|(from, target, _)| from == name && *target == to);
            if (dependency.local || names.contains(to)) && !allowed.contains(&to) && !(is_root && inside) {
                faults.push(format!("{folder}: {name} must not name {to} in its {}", dependency.kind));
            }
            let for_tests = dependency.kind == "dev-dependencies"
                || (dependency.optional && !package.is_reachable_without(to, "testing"));
            let runtime =
                RUNTIMES.iter().any(|runtime| to == *runtime || to.starts_with(&format!("{runtime}-")));
            if PURE.contains(&name.as_str()) && runtime && !for_tests {
                faults.push(format!("{folder}: {name} must not name {to} in its {}", dependency.kind));
            }
        }
    }
    faults
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn table(path: &Path) -> Table {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn members(workspace: &Table) -> Vec<String> {
    let members = workspace["workspace"]["members"].as_array().unwrap();
    members.iter().map(|member| member.as_str().unwrap().to_owned()).collect()
}

fn workspace() -> Vec<Package> {
    let manifest = table(&root().join("Cargo.toml"));
    let member = |folder: &String| read(folder, &table(&root().join(folder).join("Cargo.toml")), &manifest);
    members(&manifest).iter().map(member).collect()
}

/// Files below a folder with this ending, by their paths relative to the workspace; nothing that a build wrote.
fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_output = name.starts_with('.') || (name == "target" && path.join("CACHEDIR.TAG").exists());
        if path.is_dir() && !is_output {
            files(&path, ending, found);
        } else if name.ends_with(ending) {
            found.push(path.strip_prefix(root()).unwrap().to_owned());
        }
    }
}

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for member in members(&table(&root().join("Cargo.toml"))) {
        files(&root().join(member), ".rs", &mut found);
    }
    found
}

/// A source's lines with their numbers, without those that are comments from their beginning.
fn code(path: &Path) -> Vec<(usize, String)> {
    let text = std::fs::read_to_string(root().join(path)).unwrap();
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    lines.map(|(index, line)| (index + 1, line.to_owned())).collect()
}

/// True when `line` has `word` with no letter, digit or underscore around it.
fn has_word(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + word.len()..]);
        !before.ends_with(part) && (word.ends_with(':') || !after.starts_with(part))
    })
}

/// The name that a line declares with one of these keywords.
fn declared<'a>(line: &'a str, keywords: &[&str]) -> Option<&'a str> {
    let mut words = line.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty());
    words.find(|word| keywords.contains(word))?;
    words.next()
}

#[test]
fn no_edge_is_missing_from_the_picture() {
    let packages = workspace();
    for (folder, name, _) in PICTURE {
        assert!(
            packages.iter().any(|package| package.folder == *folder && package.name == *name),
            "{folder} is gone"
        );
    }
    let faults = faults(&packages);
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_manifest_belongs_to_the_workspace() {
    let mut found = Vec::new();
    files(&root(), "Cargo.toml", &mut found);
    let mut expected: Vec<PathBuf> = vec!["Cargo.toml".into()];
    let members = members(&table(&root().join("Cargo.toml")));
    expected.extend(members.iter().map(|member| Path::new(member).join("Cargo.toml")));
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn values_and_rules_touch_no_clock_no_socket_and_no_float() {
    let pure = |path: &&PathBuf| {
        (path.starts_with("pool-core/src") || path.starts_with("rewards/src"))
            && !path.starts_with("pool-core/src/testing")
    };
    let (mut faults, mut seen) = (Vec::new(), 0);
    for path in sources().iter().filter(pure) {
        seen += 1;
        for (number, line) in code(path) {
            faults.extend(
                IMPURE_WORDS
                    .iter()
                    .filter(|word| has_word(&line, word))
                    .map(|word| format!("{}:{number}: {word}", path.display())),
            );
        }
    }
    assert!(seen > 30, "only {seen} sources were found");
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn in_stratum_only_the_server_waits() {
    let mut faults = Vec::new();
    for path in sources() {
        if !path.starts_with("stratum/src") || path.starts_with("stratum/src/net") {
            continue;
        }
        for (number, line) in code(&path) {
            if ["tokio::", "async", "await"].iter().any(|word| has_word(&line, word)) {
                faults.push(format!("{}:{number}: {line}", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn names_say_what_things_are() {
    let mut faults = Vec::new();
    for path in sources() {
        let parts = path.iter().map(|part| part.to_str().unwrap().trim_end_matches(".rs"));
        faults.extend(
            parts.filter(|part| NO_NAMES.contains(part)).map(|part| format!("{}: {part}", path.display())),
        );
        for (number, line) in code(&path) {
            let place = format!("{}:{number}", path.display());
            if let Some(module) = declared(&line, &["mod"]).filter(|name| NO_NAMES.contains(name)) {
                faults.push(format!("{place}: module {module}"));
            }
            let named = declared(&line, &["struct", "enum", "trait", "type"]);
            if let Some(name) = named.filter(|name| NO_ENDINGS.iter().any(|ending| name.ends_with(ending))) {
                faults.push(format!("{place}: {name}"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_teaching_program_is_read_in_one_sitting() {
    let programs: Vec<_> =
        sources().into_iter().filter(|path| path.starts_with("examples/examples")).collect();
    assert!(programs.len() >= 4, "only {programs:?}");
    for path in programs {
        let text = std::fs::read_to_string(root().join(&path)).unwrap();
        assert!(text.lines().count() <= 150, "{} is too long", path.display());
        assert!(text.starts_with("//! "), "{} does not say what it teaches", path.display());
    }
}

/// What is wrong with `folder`, if its manifest is this text.
fn invented(folder: &str, manifest: &str) -> Vec<String> {
    let shared = r#"
        [workspace.dependencies]
        pool-core = { path = "pool-core" }
        pool-rewards = { path = "rewards" }
        tokio = "1"
        money = { package = "pool-rewards", path = "rewards" }
    "#;
    let mut packages = workspace();
    packages.retain(|package| package.folder != folder);
    packages.push(read(folder, &manifest.parse().unwrap(), &shared.parse().unwrap()));
    let mut faults = faults(&packages);
    faults.retain(|fault| fault.starts_with(&format!("{folder}: ")));
    faults
}

#[test]
fn each_rule_is_broken_by_what_breaks_it() {
    let package = |name: &str, rest: &str| format!("[package]\nname = \"{name}\"\n{rest}");
    let broken = [
        ("pool-core", package("pool-core", "[dependencies]\npool-rewards = { workspace = true }")),
        ("pool-core", package("pool-core", "[dev-dependencies]\nmoney = { workspace = true }")),
        ("pool-core", package("pool-core", "[dependencies]\ntokio = { workspace = true }")),
        ("pool-core", package("pool-core", "[build-dependencies]\ntokio-util = \"1\"")),
        (
            "pool-core",
            package(
                "pool-core",
                "[features]\ndefault = [\"std\"]\nstd = [\"dep:tokio\"]\n[dependencies]\ntokio = { version = \"1\", optional = true }",
            ),
        ),
        ("rewards", package("pool-rewards", "[target.'cfg(unix)'.dependencies]\ntokio = \"1\"")),
        ("rewards", package("pool-rewards", "[dependencies]\npool-stratum = { path = \"../stratum\" }")),
        ("storage-adapters", package("pool-storage", "[dependencies]\npool-rewards = \"0.1\"")),
        ("stratum", package("pool-stratum", "[dependencies]\npool-coins = { path = \"../coins\" }")),
        ("coins", package("pool-coins", "[dependencies]\npool-rewards = { workspace = true }")),
        (
            "examples",
            package("poolwright-examples", "[dev-dependencies]\npoold = { path = \"../bins/poold\" }"),
        ),
        ("bins/poold", package("poold", "[dependencies]\npoolctl = { path = \"../poolctl\" }")),
        ("bins/poold", package("pool-common", "")),
        ("extras", package("pool-extras", "")),
    ];
    for (folder, manifest) in broken {
        assert_eq!(invented(folder, &manifest).len(), 1, "{folder}: {manifest}");
    }
    let kept = [
        ("pool-core", package("pool-core", "[dev-dependencies]\ntokio = { workspace = true }")),
        (
            "pool-core",
            package(
                "pool-core",
                "[features]\ntesting = [\"dep:tokio\"]\n[dependencies]\ntokio = { version = \"1\", optional = true }",
            ),
        ),
        ("rewards", package("pool-rewards", "[dependencies]\npool-core = { workspace = true }")),
        ("rewards", package("pool-rewards", "[dev-dependencies]\npool-rewards = { workspace = true }")),
        ("bins/poolctl", package("poolctl", "[dependencies]\npoold = { path = \"../poold\" }")),
    ];
    for (folder, manifest) in kept {
        assert_eq!(invented(folder, &manifest), Vec::<String>::new(), "{folder}: {manifest}");
    }
}

#[test]
fn words_and_declarations_are_told_apart() {
    assert!(has_word("let x: f64 = 1;", "f64") && !has_word("let f64_bits = 1;", "f64"));
    assert!(has_word("tokio::spawn(x)", "tokio::") && !has_word("mytokio::spawn(x)", "tokio::"));
    assert_eq!(declared("pub(crate) struct Node<T> {", &["struct"]), Some("Node"));
    assert_eq!(declared("    mod inner {", &["mod"]), Some("inner"));
    assert_eq!(declared("let model = 1;", &["mod"]), None);
}
