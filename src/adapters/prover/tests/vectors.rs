//! The vectors in `tests/vectors/certificate`: what this version writes, byte for byte, and what it makes of it.
//!
//! `DELTA_WRITE_VECTORS=1 cargo test -p delta-prover vectors` writes them anew. `tests/certificate/verify.py`, which shares no line with this
//! crate, is held to the same files by `python/tests/test_certificate.py`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use delta_domain::ids::encode_hex;
use delta_ports::certifier::{Certifier as _, Model};
use sha2::{Digest as _, Sha256};

use super::world::World;
use crate::generators::Cache;
use crate::sigmoid::PARABOLAS;

const MODELS: [(Model, &str); 3] = [
    (Model::Logistic, "logistic"),
    (Model::Linear, "linear"),
    (Model::Mean, "mean"),
];

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../tests/vectors/certificate")
        .join(name)
}

/// Two members, five and three rows, two columns; no number depends on how a machine computes exponentials.
fn world(model: Model) -> World {
    let mut world = World::new(model, 2, 5, 2);
    for (at, member) in world.members.iter_mut().enumerate() {
        let rows = 5 - 2 * at;
        let cells = (0..2 * rows).map(|k| ((k * k + 3 * at) % 9) as f64 / 4.0 - 0.75);
        member.features = cells.collect();
        let labels = (0..rows).map(|k| {
            if model == Model::Linear {
                k as f64 * 1.5 - 1.0
            } else {
                f64::from(k % 2 == at)
            }
        });
        member.labels = if model == Model::Mean {
            Vec::new()
        } else {
            labels.collect()
        };
    }
    world.claim.weights = vec![1_500_000, -2_000_000, 700_000];
    world.claim.weights.truncate(world.claim.schema.weights());
    world
}

/// Of changes that must be refused: at a byte of everything that is in a certificate.
fn bad(certificate: &[u8], model: Model) -> impl Iterator<Item = (usize, u8)> {
    let schema = 2 + 16 * (2 + usize::from(model == Model::Linear));
    let claim = schema + 66 + 32 + 4 + 8 * (2 + usize::from(model != Model::Mean));
    // What the author allows is not proven.
    let tolerance = 10 + claim..10 + claim + 8;
    let step = certificate.len() / 24;
    let places = (0..24)
        .map(move |at| at * step + at % 7)
        .chain([10 + claim - 1, certificate.len() - 1]);
    places
        .filter(move |at| !tolerance.contains(at))
        .map(|at| (at, 1 << (at % 6)))
}

fn told() -> (String, Vec<(String, Vec<u8>)>) {
    let generators = Cache::default().at_least(2);
    let hex = |bytes: &[u8]| encode_hex(bytes)[2..].to_owned();
    let point = |p: &curve25519_dalek::RistrettoPoint| hex(&p.compress().to_bytes());
    let [c0, c1, c2] = &*PARABOLAS;
    let mut table = Sha256::new();
    for k in 0..c0.len() {
        for c in [c0[k], c1[k], c2[k]] {
            table.update(c.to_be_bytes());
        }
    }
    let mut json = String::from("{\n");
    let mut say = |line: String| writeln!(json, "{line}").unwrap();
    say(r#"  "meta": "made by src/adapters/prover/tests/vectors.rs with fixed secrets; each bad one is a file with one byte changed","#.to_owned());
    say(format!(
        r#"  "generators": ["{}", "{}"],"#,
        point(&generators.points[0]),
        point(&generators.points[1])
    ));
    say(format!(
        r#"  "blinding": "{}","#,
        point(&generators.blinding)
    ));
    say(format!(
        r#"  "parabolas": {{"sha256": "{}", "first": [{}, {}, {}]}},"#,
        hex(&table.finalize()),
        c0[0],
        c1[0],
        c2[0]
    ));
    say(r#"  "certificates": ["#.to_owned());
    let mut files = Vec::new();
    for (at, (model, name)) in MODELS.into_iter().enumerate() {
        let world = world(model);
        let certificate = world.certificate();
        let verdict = world.certifier.judge(&certificate).unwrap();
        let members = verdict
            .members
            .iter()
            .map(|m| format!(r#""{}": "{}""#, m.member, m.commitment))
            .collect::<Vec<_>>();
        let bad = bad(&certificate, model)
            .map(|(at, xor)| format!("[{at}, {xor}]"))
            .collect::<Vec<_>>();
        say(format!(
            "    {{\n      \"file\": \"{name}.bin\",\n      \"rows\": {},\n      \"norm\": {:?},",
            verdict.rows, verdict.norm
        ));
        say(format!(
            "      \"holds\": {},\n      \"members\": {{{}}},",
            verdict.holds(),
            members.join(", ")
        ));
        say(format!(
            "      \"bad\": [{}]\n    }}{}",
            bad.join(", "),
            if at < 2 { "," } else { "" }
        ));
        files.push((format!("{name}.bin"), certificate));
    }
    say("  ]\n}".to_owned());
    (json, files)
}

#[test]
fn vectors_are_what_is_written_and_read() {
    let (json, mut files) = told();
    files.push(("certificates.json".to_owned(), json.into_bytes()));
    for (name, bytes) in files {
        if std::env::var_os("DELTA_WRITE_VECTORS").is_some() {
            std::fs::write(file(&name), &bytes).unwrap();
        }
        let kept = std::fs::read(file(&name)).unwrap();
        assert!(
            kept == bytes,
            "{name} is not what this version writes: a change of the format needs another version"
        );
    }
}

#[test]
fn changed_vectors_are_refused() {
    for (model, name) in MODELS {
        let certificate = std::fs::read(file(&format!("{name}.bin"))).unwrap();
        let world = world(model);
        for (at, xor) in bad(&certificate, model) {
            let mut changed = certificate.clone();
            changed[at] ^= xor;
            assert!(
                world.certifier.judge(&changed).is_err(),
                "{name}: byte {at}"
            );
        }
    }
}
