//! Rounds of 10 to 1,000 members in one process, a tenth of them dropped after sharing: what a member and the coordinator pay.
//!
//! `cargo bench --no-default-features --features testing --bench scale` prints the tables and writes `docs/scale.md` and
//! `docs/scale.svg`. A few minutes on two cores. With sizes (`-- 100 1000`) it only prints what those cost, a tenth assumed to drop out.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    missing_docs,
    unreachable_pub,
    reason = "a benchmark: a failure is a panic"
)]

mod secagg_world;

use std::fmt::Write as _;

use delta_node::domain::round::Neighbourhood;
use delta_node::domain::round::neighbourhood::Assumptions;
use delta_node::domain::secagg::{MaskGenerator, Ring};
use delta_node::domain::strategy::Strategy;
use secagg_world::{Cost, Setup, clock, run};

const D: usize = 100_000;
const TWENTIETH: f64 = 0.05;
const SIZES: [usize; 5] = [10, 30, 100, 300, 1_000];

fn main() {
    // `cargo test --benches` and `cargo bench -- --list` must not spend minutes here.
    if std::env::args().any(|a| a == "--test" || a == "--list") {
        return;
    }
    let machine = clock::machine();
    let asked: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let cost = |n: usize, dropout: Option<f64>, full: bool| {
        let setup = Setup {
            n,
            d: D,
            ring: Ring::Z64,
            generator: MaskGenerator::default(),
            dropout,
            full,
            met: false,
            dropped: if dropout == Some(TWENTIETH) {
                (n / 20).max(1)
            } else {
                n / 10
            },
        };
        // What others do on the machine only adds: the run that took least is the nearest to the truth.
        let runs = if n < 1_000 { 3 } else { 2 };
        let whole = |c: &Cost| c.client + c.coordinator / n as f64;
        let (least, wall) = clock::wall(|| {
            (0..runs)
                .map(|_| run(&setup))
                .min_by(|a, b| whole(a).total_cmp(&whole(b)))
        });
        let cost = least.unwrap();
        println!(
            "n = {n}, k = {}, t = {}: {wall:.1} s of simulation, {runs} runs",
            cost.degree, cost.threshold
        );
        cost
    };
    if !asked.is_empty() {
        for n in asked {
            println!("{:#?}", cost(n, Some(0.1), false));
        }
        return;
    }
    let tenth: Vec<Cost> = SIZES.iter().map(|n| cost(*n, None, false)).collect();
    let twentieth = SIZES.iter().map(|n| cost(*n, Some(TWENTIETH), false));
    let twentieth: Vec<Cost> = twentieth.collect();
    let full: Vec<Cost> = SIZES[..4].iter().map(|n| cost(*n, None, true)).collect();
    let text = document(&machine, &tenth, &twentieth, &full);
    println!("{text}");
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/docs");
    std::fs::write(format!("{docs}/scale.md"), text).unwrap();
    std::fs::write(format!("{docs}/scale.svg"), plot(&tenth, &twentieth, &full)).unwrap();
}

fn document(machine: &str, tenth: &[Cost], twentieth: &[Cost], full: &[Cost]) -> String {
    let mut out = String::from(
        "# Secure aggregation from 10 to 1,000 members\n\nMade by `cargo bench --no-default-features --features testing --bench scale`; do not edit.\n",
    );
    writeln!(
        out,
        "\nMachine: {machine}. AES-128-CTR masks, secp256k1, {D} numbers in Z_2^64. CPU time of one thread, except where it says wall; the median member; of two (n = 1,000) or three runs the one that took least. \
         All members and the coordinator are the node's own state machines with real cryptography, in one process, without network, disk and snapshots. \
         A tenth of the members vanishes after sharing; the sum was compared with the plain one, bit for bit, in every run.\n"
    )
    .unwrap();
    out.push_str(&neighbourhoods());
    out.push_str(ARGUMENT);
    for (title, costs) in [
        ("A tenth may drop out (default)", tenth),
        (
            "A twentieth may drop out, and does (`strategy.dropout: 0.05`)",
            twentieth,
        ),
        (
            "Everybody is everybody's neighbour (`strategy.neighbours` at least n - 1)",
            full,
        ),
    ] {
        writeln!(out, "\n## {title}\n").unwrap();
        out.push_str(&table(costs));
    }
    out.push_str(
        "\n*Control* is everything but the vector: JSON as it goes over HTTP, and what the connector carries, with every key of u1. \
         *State* is the serialised round (it rests sealed on disk and in memory); beside it the coordinator holds one vector and its output, a member \
         its own numbers and a block for each core. *Process* is the resident memory added by all nodes together.\n\n![cost against members](scale.svg)\n",
    );
    out
}

/// What stands behind the table.
const ARGUMENT: &str = "
### The argument, and what it leaves out

Members stand on a ring in random order, each a neighbour of the k/2 nearest on either side. A coordinator that shows half of a member's k + 1
holders one list u3 and half another gets t shares of both its secrets when 2t - (k + 1) of them collude, and honest holders give one of each:
so a member's input is safe while fewer than that collude around it, and while the members left, without colluding and
dropped ones, hang together (else the sum of a part is seen alone): the ring falls apart only when k/2 in a row are missing at
two places. A sum exists while every member has t holders left. Each is a hypergeometric tail, summed over all members or all
pairs of places. Every member computes k and t for itself and refuses, before its shares leave, a degree or threshold with which
the first two are likelier than 2^-40 when as many collude as its owner assumes and a third drop out, whatever the strategy says.

- The order of the ring is the SHA-256 of task, round, u1 and all keys, so it is fixed after the keys are. Whoever chooses u1, or
  makes colluders' keys, can try many: 2^g tries take g of the 40 bits.
- Colluders and drop-outs are chosen without knowledge of the ring. A coordinator that knows it and lies about who dropped can cut
  the ring in two arcs and see their sums. No arc is one member's: every honest member at its end still counts t living holders.

";

fn neighbourhoods() -> String {
    let mut out = String::from(
        "## Neighbours k and threshold t\n\n\
         The smallest k with which, when a third of the members collude, privacy fails with probability below 2^-40, and when the given fraction drops out, \
         the sum is missing with probability below 2^-20 (Bell et al., CCS 2020; exact hypergeometric tails; `src/domain/round/neighbourhood.rs`). \
         t shares of the k + 1 that a member's neighbours and itself hold rebuild a secret. Lies about who dropped take 2t - (k + 1) colluders around one member.\n\n\
         | members | a tenth may drop: k | t | colluders to lie | a twentieth may drop: k | t | colluders to lie |\n|---|---|---|---|---|---|---|\n",
    );
    for n in [
        31, 40, 50, 75, 100, 150, 200, 300, 500, 1_000, 2_000, 5_000, 10_000,
    ] {
        let cells = |dropping: f64| {
            let assumptions = Assumptions {
                dropping,
                ..Assumptions::default()
            };
            Neighbourhood::smallest(n, &assumptions, 0).map_or_else(
                || {
                    let t = Strategy::default().threshold_for(n);
                    format!("all | {t} | {}", 2 * t - n)
                },
                |found| {
                    let (k, t) = (found.degree.unwrap_or(n - 1), found.threshold);
                    format!("{k} | {t} | {}", 2 * t - (k + 1))
                },
            )
        };
        writeln!(out, "| {n} | {} | {} |", cells(0.1), cells(TWENTIETH)).unwrap();
    }
    out.push_str("\nUp to 30 members the graph is complete and t is the smallest above half with 2t - n above the colluders that are assumed: none up to 3 members, one up to 6, a third from 7 on.\n");
    out
}

fn table(costs: &[Cost]) -> String {
    let mut out = String::from(
        "| members | k | t | member, ms | of it masks | coordinator, ms | requests | adding | rebuilding | key agreements | unmasking | last step, wall | member's control: HTTP sent / received / connector, KB | a neighbour, B | vector, KB | messages a member / all | state coordinator / member, MB | process, MB |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for c in costs {
        let kb = |bytes: u64| bytes as f64 / 1e3;
        writeln!(
            out,
            "| {} | {} | {} | {:.1} | {:.1} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} / {:.0} / {:.0} | {:.0} | {:.0} | {} / {} | {:.1} / {:.2} | {:.0} |",
            c.n,
            c.degree,
            c.threshold,
            c.client * 1e3,
            c.client_masking * 1e3,
            c.coordinator * 1e3,
            c.coordinator_requests * 1e3,
            c.coordinator_adding * 1e3,
            c.coordinator_rebuilding * 1e3,
            c.coordinator_agreements * 1e3,
            c.coordinator_unmasking * 1e3,
            c.coordinator_last_step * 1e3,
            kb(c.client_sends),
            kb(c.client_receives),
            kb(c.client_connector),
            (c.client_sends + c.client_receives + c.client_connector) as f64 / c.degree as f64,
            kb(c.vector),
            c.client_messages,
            c.messages,
            kb(c.coordinator_state) / 1e3,
            kb(c.client_state) / 1e3,
            kb(c.resident) / 1e3,
        )
        .unwrap();
    }
    out
}

/// Two log-log pictures side by side: the member's time and the coordinator's.
fn plot(tenth: &[Cost], twentieth: &[Cost], full: &[Cost]) -> String {
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"900\" height=\"420\" font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"900\" height=\"420\" fill=\"white\"/>\n",
    );
    let series = [
        ("a tenth may drop out", "#1f6fb2", tenth),
        ("a twentieth may drop out", "#2e8b57", twentieth),
        ("complete graph", "#c0392b", full),
    ];
    panel(&mut svg, 60.0, "one member, ms of CPU", &series, |c| {
        c.client * 1e3
    });
    panel(&mut svg, 510.0, "coordinator, ms of CPU", &series, |c| {
        c.coordinator * 1e3
    });
    svg.push_str("</svg>\n");
    svg
}

fn panel(
    svg: &mut String,
    left: f64,
    title: &str,
    series: &[(&str, &str, &[Cost])],
    value: impl Fn(&Cost) -> f64,
) {
    const TOP: f64 = 50.0;
    const WIDTH: f64 = 360.0;
    const HEIGHT: f64 = 300.0;
    let all: Vec<f64> = series
        .iter()
        .flat_map(|(_, _, c)| c.iter().map(&value))
        .collect();
    let low = all.iter().copied().fold(f64::MAX, f64::min).log10().floor();
    let high = all.iter().copied().fold(f64::MIN, f64::max).log10().ceil();
    let x = |n: f64| left + WIDTH * (n.log10() - 1.0) / 2.0;
    let y = |v: f64| TOP + HEIGHT * (1.0 - (v.log10() - low) / (high - low).max(1.0));
    writeln!(
        svg,
        "<text x=\"{left}\" y=\"24\" font-size=\"16\">{title}</text>"
    )
    .unwrap();
    for n in SIZES {
        let at = x(n as f64);
        writeln!(svg, "<line x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{:.1}\" stroke=\"#ddd\"/><text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{n}</text>", TOP + HEIGHT, TOP + HEIGHT + 20.0).unwrap();
    }
    let mut power = low;
    while power <= high {
        let at = y(10_f64.powf(power));
        writeln!(svg, "<line x1=\"{left}\" y1=\"{at:.1}\" x2=\"{:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>", left + WIDTH, left - 6.0, at + 4.0, 10_f64.powf(power)).unwrap();
        power += 1.0;
    }
    for (i, (name, colour, costs)) in series.iter().enumerate() {
        let points: Vec<String> = costs
            .iter()
            .map(|c| format!("{:.1},{:.1}", x(c.n as f64), y(value(c))))
            .collect();
        writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            points.join(" ")
        )
        .unwrap();
        for point in &points {
            let (px, py) = point.split_once(',').unwrap();
            writeln!(
                svg,
                "<circle cx=\"{px}\" cy=\"{py}\" r=\"3\" fill=\"{colour}\"/>"
            )
            .unwrap();
        }
        writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{name}</text>",
            left + 10.0,
            TOP + 18.0 * (i as f64 + 1.0)
        )
        .unwrap();
    }
    writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">members</text>",
        left + WIDTH / 2.0,
        TOP + HEIGHT + 42.0
    )
    .unwrap();
}
