//! House rules that neither rustc nor clippy can see. Reads the sources as text.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                if !name.starts_with('.') && name != "target" {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn rust_sources() -> Vec<PathBuf> {
    ["src", "tests", "benches", "examples"]
        .iter()
        .flat_map(|folder| files(folder, "rs"))
        .collect()
}

#[test]
fn every_file_says_what_it_is() {
    let silent: Vec<PathBuf> = rust_sources()
        .into_iter()
        .filter(|path| !read(path).starts_with("//!"))
        .collect();
    assert!(silent.is_empty(), "no //! header: {silent:#?}");
}

#[test]
fn the_domain_touches_nothing() {
    const FORBIDDEN: [&str; 12] = [
        "async ",
        ".await",
        "std::fs",
        "std::net",
        "std::env",
        "std::thread",
        "std::process",
        "Instant::now",
        "SystemTime",
        "println!",
        "HashMap",
        "HashSet",
    ];
    let mut found = Vec::new();
    for path in files("src/domain", "rs") {
        for (number, line) in read(&path).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for word in FORBIDDEN.iter().filter(|word| code.contains(**word)) {
                found.push(format!("{}:{}: {word}", path.display(), number + 1));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// What `src/bootstrap/mod.rs` says of itself: adapters are named there, in their list and in `src/testing`, and nowhere else.
#[test]
fn only_the_bootstrap_names_adapters() {
    const MAY: [&str; 4] = [
        "src/bootstrap/",
        "src/adapters/",
        "src/testing/",
        "src/testing.rs",
    ];
    const NAMES: [&str; 10] = [
        "adapters::",
        "delta_connector",
        "delta_grpc",
        "delta_http",
        "delta_memory",
        "delta_metrics",
        "delta_onnx",
        "delta_prover",
        "delta_sqlite",
        "delta_system",
    ];
    // Crates of their own, whose manifests are their walls.
    const CRATES: [&str; 3] = ["src/domain/", "src/ports/", "src/app/"];
    let mut found = Vec::new();
    let mut read_files = 0;
    for path in files("src", "rs") {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap();
        if MAY
            .iter()
            .chain(&CRATES)
            .any(|folder| name.starts_with(folder))
        {
            continue;
        }
        read_files += 1;
        for (number, line) in read(&path).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for word in NAMES.iter().filter(|word| code.contains(**word)) {
                found.push(format!("{name}:{}: {word}", number + 1));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
    assert!(read_files > 40, "only {read_files} files were looked at");
}

#[test]
fn every_vector_is_used_by_a_test() {
    let sources: String = rust_sources().into_iter().map(read).collect();
    let unused: Vec<PathBuf> = files("tests/vectors", "json")
        .into_iter()
        .filter(|path| !sources.contains(path.file_name().unwrap().to_str().unwrap()))
        .collect();
    assert!(unused.is_empty(), "vectors that no test names: {unused:#?}");
}

#[test]
fn migrations_are_numbered_without_gaps_in_each_folder() {
    let paths = files("migrations", "sql");
    for path in &paths {
        let before = paths
            .iter()
            .filter(|other| other.parent() == path.parent() && *other < path);
        let number = before.count() + 1;
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(
            name.starts_with(&format!("{number:04}_")),
            "{name} is number {number}"
        );
    }
    assert!(!paths.is_empty());
}

/// Crates of the house that a crate may list, by its folder. What is missing here would let a layer look up or sideways.
const BELOW: [(&str, &[&str]); 14] = [
    ("src/domain", &[]),
    ("src/ports", &["domain"]),
    ("src/app", &["domain", "ports"]),
    ("src/adapters/connector", &["domain", "ports"]),
    ("src/adapters/databases", &["domain", "ports"]),
    ("src/adapters/grpc", &["domain", "ports"]),
    ("src/adapters/http", &["domain", "ports"]),
    ("src/adapters/memory", &["domain", "ports"]),
    ("src/adapters/metrics", &["ports"]),
    ("src/adapters/onnx", &["domain", "ports"]),
    ("src/adapters/prover", &["domain", "ports"]),
    ("src/adapters/sqlite", &["domain", "ports"]),
    ("src/adapters/system", &["domain", "ports"]),
    ("src/testing", &["domain", "ports", "app", "memory"]),
];

/// The names that a manifest lists under `[dependencies]`.
fn listed(manifest: &str) -> Vec<&str> {
    let section = manifest.split("\n[dependencies]\n").nth(1).unwrap();
    let section = section.split("\n[").next().unwrap();
    let name = |line: &'_ str| line.find(['.', ' ', '=']).map(|end| line[..end].len());
    section
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| name(line).map(|end| &line[..end]))
        .collect()
}

#[test]
fn a_layer_lists_only_what_is_below_it() {
    for (folder, allowed) in BELOW {
        let manifest = read(format!("{folder}/Cargo.toml"));
        for name in listed(&manifest) {
            if let Some(ours) = name.strip_prefix("delta-") {
                assert!(allowed.contains(&ours), "{folder} must not list {name}");
            }
        }
    }
    let mut crates = files("src", "toml");
    crates.retain(|path| path.file_name().unwrap() == "Cargo.toml");
    assert_eq!(
        crates.len(),
        BELOW.len(),
        "a crate without a row: {crates:#?}"
    );
}

#[test]
fn the_domain_lists_nothing_that_reaches_the_world() {
    let manifest = read("src/domain/Cargo.toml");
    for name in listed(&manifest) {
        for world in [
            "tokio",
            "futures",
            "async",
            "getrandom",
            "tracing",
            "rustix",
            "libc",
        ] {
            assert!(!name.starts_with(world), "the domain lists {name}");
        }
    }
}

/// Documents may be named from the root, from the folder of who names them, or as seen from `docs/` and `docs/protocol/`.
#[test]
fn every_document_that_is_named_exists() {
    let mut missing = Vec::new();
    for path in texts() {
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            for name in documents_in(line) {
                let beside = path.parent().unwrap();
                let known = [
                    beside.to_owned(),
                    root().into(),
                    root().join("docs"),
                    root().join("docs/protocol"),
                ]
                .iter()
                .any(|folder| folder.join(name).is_file());
                if !known {
                    missing.push(format!("{}:{}: {name}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(
        missing.is_empty(),
        "documents that do not exist: {missing:#?}"
    );
}

/// Every text of the house that may name a document.
fn texts() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = [
        "src", "tests", "benches", "examples", "fuzz", "python", "proto", "docs", "config",
        "assets", "deploy", ".github", ".ci",
    ]
    .iter()
    .flat_map(|folder| {
        ["rs", "py", "md", "proto", "toml", "yaml", "yml"].map(|ending| files(folder, ending))
    })
    .flatten()
    .collect();
    found.extend(
        fs::read_dir(root())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file()),
    );
    found
}

/// What a test writes into a folder of its own is no document.
const WRITTEN_BY_TESTS: &str = "notes.md";

/// Names that end in `.md`, without what stands around them.
fn documents_in(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !(c.is_ascii_alphanumeric() || "._-/".contains(c)))
        .map(|word| word.trim_end_matches('.').trim_start_matches('/'))
        .filter(|word| word.ends_with(".md") && word.len() > 3 && *word != WRITTEN_BY_TESTS)
}

#[test]
fn the_image_is_built_as_the_house_wants() {
    let dockerfile = read("Dockerfile");
    for line in [
        "HEALTHCHECK ",
        "WORKDIR /app",
        // It takes the owner of /app, and no capability: .ci/image tries it.
        "ENTRYPOINT [\"docker-entrypoint.sh\"]",
        "CMD [\"run\"]",
        "--locked",
    ] {
        assert!(dockerfile.contains(line), "the Dockerfile lacks `{line}`");
    }
    let pinned = read("rust-toolchain.toml");
    let toolchain = pinned
        .lines()
        .find_map(|line| line.strip_prefix("channel = "))
        .unwrap()
        .trim_matches('"');
    assert!(
        dockerfile.contains(&format!("ARG RUST_IMAGE=rust:{toolchain}-")),
        "the Dockerfile builds with another Rust than {toolchain}"
    );
    let ignored = read(".dockerignore");
    for name in dockerfile_inputs(&read("Cargo.toml")) {
        assert!(
            ignored.contains(&format!("!{name}")),
            ".dockerignore keeps {name} out of the build"
        );
    }
}

/// Top-level names that cargo needs to build the programs.
fn dockerfile_inputs(manifest: &str) -> Vec<&'static str> {
    let mut names = vec![
        "Cargo.toml",
        "Cargo.lock",
        "assets",
        "src",
        "proto",
        "migrations",
        "config/config.example.yaml",
        "deploy/docker/entrypoint.sh",
    ];
    if manifest.contains("[[bench]]") {
        names.push("benches");
    }
    if manifest.contains("[[example]]") {
        names.push("examples");
    }
    if manifest.contains("[[test]]") {
        names.push("tests");
    }
    names
}
