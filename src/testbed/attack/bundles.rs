//! Task bundles: the honest one that every attack is followed by, and those that no node may open.

use std::collections::BTreeMap;

use anyhow::Context as _;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::assets::HALVES_TASK;
use delta_domain::bundle::{Bundle, BundleLimits, write_bundle};
use delta_domain::manifest::Manifest;

/// Length of the built-in task's vector.
pub(super) const VALUES: usize = 4;

/// The honest task with a changed manifest.
pub(super) fn task(change: impl FnOnce(&mut Manifest)) -> anyhow::Result<Vec<u8>> {
    task_with(change, |_| {})
}

/// The honest task with its manifest and graphs changed.
pub(super) fn task_with(
    change: impl FnOnce(&mut Manifest),
    graphs: impl FnOnce(&mut BTreeMap<String, Vec<u8>>),
) -> anyhow::Result<Vec<u8>> {
    let bundle =
        Bundle::open(HALVES_TASK, &BundleLimits::default()).context("the built-in task")?;
    let mut manifest = bundle.manifest().clone();
    manifest.strategy.connection_timeout = 5.0;
    manifest.strategy.wait_timeout = 5.0;
    change(&mut manifest);
    let mut all: BTreeMap<String, Vec<u8>> = bundle
        .graphs()
        .map(|(name, bytes)| (name.to_owned(), bytes.to_vec()))
        .collect();
    graphs(&mut all);
    Ok(write_bundle(&manifest, &all, &BTreeMap::new())?)
}

/// The manifest of some bytes that [`task`] made.
pub(super) fn manifest_of(bundle: &[u8]) -> anyhow::Result<Manifest> {
    Ok(Bundle::open(bundle, &BundleLimits::default())?
        .manifest()
        .clone())
}

/// The honest task with the rounds and members of a quick check.
pub(super) fn honest(members: u32, rounds: u32) -> anyhow::Result<Vec<u8>> {
    task(|manifest| {
        manifest.strategy.min_clients = members;
        manifest.strategy.max_clients = members;
        manifest.rounds[0].repeat = rounds;
    })
}

/// What the honest task must end with after this many rounds.
pub(super) fn expected(rounds: u32) -> f32 {
    (0..rounds).fold(0.0, |w, _| w * 0.5 + 1.0)
}

/// The honest task's files.
fn files() -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(HALVES_TASK))?;
    for index in 0..archive.len() {
        let mut file = archive.by_index(index)?;
        let mut bytes = Vec::new();
        std::io::copy(&mut file, &mut bytes)?;
        let name = file.name()?.into_owned();
        files.push((name, bytes));
    }
    Ok(files)
}

fn zipped<R: std::io::Read>(files: Vec<(String, R)>) -> anyhow::Result<Vec<u8>> {
    let mut out = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, mut content) in files {
        out.start_file(name, SimpleFileOptions::default())?;
        std::io::copy(&mut content, &mut out)?;
    }
    Ok(out.finish()?.into_inner())
}

/// The honest task's files with one more.
fn with_file(name: &str, content: impl std::io::Read + 'static) -> anyhow::Result<Vec<u8>> {
    let mut all: Vec<(String, Box<dyn std::io::Read>)> = Vec::new();
    for (name, content) in files()? {
        all.push((name, Box::new(std::io::Cursor::new(content))));
    }
    all.push((name.to_owned(), Box::new(content)));
    zipped(all)
}

/// The honest task, with data under this name that no manifest of ours would hold.
pub(super) fn with_dataset_name(dataset: &str) -> anyhow::Result<Vec<u8>> {
    let mut all = files()?;
    for (name, content) in &mut all {
        if name == "task.json" {
            let mut manifest: serde_json::Value = serde_json::from_slice(content)?;
            let table = serde_json::json!({ "kind": "table", "columns": ["a"] });
            let mut datasets = serde_json::Map::new();
            datasets.insert(dataset.to_owned(), table);
            manifest["datasets"] = serde_json::Value::Object(datasets);
            *content = serde_json::to_vec(&manifest)?;
        }
    }
    zipped(
        all.into_iter()
            .map(|(name, content)| (name, std::io::Cursor::new(content)))
            .collect(),
    )
}

/// A bundle that expands a thousandfold.
pub(super) fn bomb() -> anyhow::Result<Vec<u8>> {
    expanding(64 << 20)
}

/// A bundle that expands to so many bytes more.
pub(super) fn expanding(len: u64) -> anyhow::Result<Vec<u8>> {
    use std::io::Read as _;
    with_file("arrays/zeros.npy", std::io::repeat(0).take(len))
}

/// A bundle with a file that climbs out of its folder.
pub(super) fn climbing() -> anyhow::Result<Vec<u8>> {
    with_file(
        "../../../etc/cron.d/delta",
        b"* * * * * root id\n".as_slice(),
    )
}

/// What the original's nodes would have run.
pub(super) fn pickle() -> Vec<u8> {
    b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x02id\x94\x85\x94R\x94."
        .to_vec()
}

/// The honest task whose training step is `graph`.
pub(super) fn with_step(graph: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    task_with(
        |_| {},
        |graphs| {
            graphs.insert("graphs/step.onnx".into(), graph);
        },
    )
}
