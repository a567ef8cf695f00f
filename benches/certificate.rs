//! What a certificate costs a member and a verifier, in one run: `cargo bench --features prover --bench certificate [-- --all]`.
//!
//! Logistic regression over made-up tables of three members; the first one's proof. Seconds are processor time of this thread, the best of
//! three; memory is the peak of a process of its own for each line, beyond what it had before. `--all` adds a table of 100,000 rows.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_precision_loss,
    missing_docs
)]

use std::fs;

use delta_node::adapters::prover::RistrettoCertifier;
use delta_node::domain::ids::{Address, Digest, RoundNumber};
use delta_node::domain::secret::Secret;
use delta_node::ports::certifier::{
    Bounds, Certifier as _, Claim, Model, Owner, Peer, Rows, Schema, Witness,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

const SIZES: [(usize, usize); 5] = [
    (100, 3),
    (1_000, 10),
    (1_000, 20),
    (10_000, 10),
    (100_000, 10),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` must not spend a minute here.
    if arguments.iter().any(|a| a == "--test" || a == "--list") {
        return;
    }
    if let Some(at) = arguments.iter().position(|a| a == "--one") {
        let number = |at: usize| arguments[at].parse().expect("a number");
        return one(number(at + 1), number(at + 2));
    }
    println!("rows x columns    commit     prove     verify   message     peak");
    let sizes = if arguments.iter().any(|a| a == "--all") {
        5
    } else {
        4
    };
    for (rows, columns) in &SIZES[..sizes] {
        let program = std::env::current_exe().unwrap();
        let (rows, columns) = (rows.to_string(), columns.to_string());
        let status = std::process::Command::new(program)
            .args(["--one", &rows, &columns])
            .status();
        assert!(status.unwrap().success());
    }
}

/// One line of the table.
fn one(rows: usize, columns: usize) {
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    let mut cell = || f64::from(rng.next_u32()) / 4_294_967_296.0;
    let features: Vec<f64> = (0..rows * columns).map(|_| 2.0 * cell() - 1.0).collect();
    let labels: Vec<f64> = (0..rows).map(|_| f64::from(cell() < 0.5)).collect();
    let schema = Schema {
        model: Model::Logistic,
        features: vec![
            Bounds {
                low: -1.0,
                high: 1.0
            };
            columns
        ],
        label: None,
    };
    let answer: Vec<f64> = (0..=columns).map(|j| 2.0 - 0.3 * j as f64).collect();
    let claim = Claim {
        weights: schema.scaled(&answer).unwrap(),
        schema,
        task: format!("0x{:064x}", 1).parse().unwrap(),
        bundle: Digest([2; 32]),
        round: RoundNumber(3),
    };
    let member: Address = format!("0x{:040x}", 4).parse().unwrap();
    let peer = |k: u8| Peer {
        address: format!("0x{:040x}", 4 + u32::from(k)).parse().unwrap(),
        key: Secret::new([k; 32]),
    };
    let (salt, peers) = (Secret::new([5; 32]), [peer(1), peer(2)]);
    let capacity = u32::try_from(rows.next_power_of_two()).unwrap();
    let rows_of = Rows {
        features: &features,
        labels: &labels,
    };
    let witness = Witness {
        member: &member,
        rows: rows_of,
        capacity,
        salt: &salt,
        peers: &peers,
    };
    let owner = Owner {
        task: claim.task.clone(),
        member: member.clone(),
    };

    let before = peak();
    let certifier = RistrettoCertifier::default();
    let (commit, digest) = best(|| {
        certifier
            .commit(&claim.schema, &owner, rows_of, capacity, &salt)
            .unwrap()
    });
    let (prove, message) = best(|| {
        certifier
            .prove(&claim, &witness, &mut ChaCha20Rng::from_seed([6; 32]))
            .unwrap()
    });
    let memory = peak() - before;
    let (verify, proven) = best(|| certifier.verify(&claim, &message).unwrap());
    assert_eq!(proven.commitment, digest);
    println!(
        "{:>14}  {commit:>6.3} s  {prove:>6.3} s  {:>6.1} ms  {:>5.0} kB  {memory:>4} MiB",
        format!("{rows} x {columns}"),
        verify * 1e3,
        message.len() as f64 / 1e3,
    );
}

fn best<T>(work: impl Fn() -> T) -> (f64, T) {
    let timed = || {
        let start = processor();
        let made = work();
        (processor() - start, made)
    };
    (0..2).map(|_| timed()).fold(
        timed(),
        |best, next| if next.0 < best.0 { next } else { best },
    )
}

/// Processor time of this thread, in seconds.
fn processor() -> f64 {
    let told = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    told.split_whitespace()
        .next()
        .and_then(|ns| ns.parse::<f64>().ok())
        .unwrap()
        / 1e9
}

/// The most memory that this process has held, in MiB.
fn peak() -> u64 {
    let told = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = told.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse::<u64>().ok())
        .unwrap()
        / 1024
}
