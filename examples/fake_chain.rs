//! A blockchain with connectors on it, as the network's connector in ethereum mode: a port and a wallet for each node.
//!
//! `cargo run --example fake_chain -- --wallets 3 --port 4500 --block-time 5` serves the chain in memory of `delta-testing` over gRPC, in
//! real time, with the real connector's texts, so that processes and scripts can be tried on it. Nothing is kept.
//!
//! What stands on standard output, a line each: `wallet N port P address A`, then `ready`, then an answer to every command. Commands come
//! in lines, from standard input or over the TCP port given with `--control`:
//!
//! - `cut N [end]`, `mend N`: the link between connector N and the chain; with `end` its subscriptions end, otherwise they fall silent.
//!   A connector that looks for its chain for more than 7.5 s gives it up, until `restart N`.
//! - `restart N`: the connector's process is started anew; calls that were not on their way are lost.
//! - `empty N`, `fund N`: the wallet.
//! - `mined [FROM]`: transactions from that number on, one JSON object a line, then `end`.
//! - `height`: blocks so far. `quit`: the end.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use delta_node::adapters::grpc::{Door, serve};
use delta_node::adapters::system::SystemClock;
use delta_node::domain::connector_record::Command;
use delta_testing::memory::{ChainOptions, MemoryConnector, Mined, Subscriptions};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

/// What may be typed.
#[derive(Debug, Parser)]
struct Args {
    /// Connectors, each with a wallet of its own.
    #[arg(long, default_value_t = 3)]
    wallets: u16,
    /// The first connector's port on 127.0.0.1, the others' follow; 0 takes free ones.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Seconds between two blocks; 0 makes a block for each transaction.
    #[arg(long, default_value_t = 0.0)]
    block_time: f64,
    /// Where commands are taken over TCP, on 127.0.0.1; they are taken from standard input in any case.
    #[arg(long)]
    control: Option<u16>,
    /// The identity contract takes back registrations that come before the last one has lapsed, as the older one does.
    #[arg(long)]
    older_identity: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let options = ChainOptions {
        block: Duration::try_from_secs_f64(args.block_time)?,
        older_identity: args.older_identity,
        // Whoever calls has a deadline of its own.
        patience: Duration::from_secs(24 * 3600),
    };
    let clock = Arc::new(SystemClock::new());
    let chain = MemoryConnector::on_chain(clock.clone(), 1, options);
    let mut wallets = Vec::new();
    for number in 0..args.wallets {
        let wallet = chain.handle();
        let port = if args.port == 0 {
            0
        } else {
            args.port + number
        };
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let (port, address) = (listener.local_addr()?.port(), wallet.wallet_address());
        println!("wallet {number} port {port} address {address}");
        // A connector believes whoever reaches it.
        let door = Door::of_the_reference(clock.clone());
        let served = Arc::new(wallet.as_its_process());
        tokio::spawn(async move { serve(served, door, listener, std::future::pending()).await });
        wallets.push(wallet);
    }
    let control = Control { chain, wallets };
    if let Some(port) = args.control {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        println!("control port {}", listener.local_addr()?.port());
        let control = control.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (read, write) = stream.into_split();
                let control = control.clone();
                tokio::spawn(async move { control.converse(read, write).await });
            }
        });
    }
    println!("ready");
    match control
        .converse(tokio::io::stdin(), tokio::io::stdout())
        .await?
    {
        Ended::Quit => Ok(()),
        // Nobody types: it runs until it is stopped.
        Ended::Silence => std::future::pending().await,
    }
}

/// What commands act on.
#[derive(Debug, Clone)]
struct Control {
    chain: MemoryConnector,
    wallets: Vec<MemoryConnector>,
}

/// Why nobody says anything any more.
enum Ended {
    Quit,
    Silence,
}

impl Control {
    async fn converse(
        &self,
        read: impl AsyncRead + Unpin,
        mut write: impl AsyncWrite + Unpin,
    ) -> std::io::Result<Ended> {
        let mut lines = BufReader::new(read).lines();
        while let Some(line) = lines.next_line().await? {
            if line.trim() == "quit" {
                return Ok(Ended::Quit);
            }
            let mut answer = self.answer(&line);
            answer.push('\n');
            write.write_all(answer.as_bytes()).await?;
            write.flush().await?;
        }
        Ok(Ended::Silence)
    }

    fn answer(&self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = words.get(1).and_then(|word| word.parse::<usize>().ok());
        let wallet = number.and_then(|number| self.wallets.get(number));
        match (words.first().copied(), wallet) {
            (Some("height"), _) => self.chain.height().to_string(),
            (Some("mined"), _) => {
                let mined = self.chain.mined();
                let from = number.unwrap_or(0).min(mined.len());
                let lines = mined[from..].iter().map(|one| shown(one) + "\n");
                lines.collect::<String>() + "end"
            }
            (Some("cut"), Some(wallet)) => {
                wallet.cut_link(match words.get(2) {
                    Some(&"end") => Subscriptions::End,
                    _ => Subscriptions::FallSilent,
                });
                "ok".to_owned()
            }
            (Some(word), Some(wallet)) => match word {
                "mend" => told(|| wallet.mend_link()),
                "restart" => told(|| wallet.restart_connector()),
                "empty" => told(|| wallet.fund(false)),
                "fund" => told(|| wallet.fund(true)),
                _ => "no such command".to_owned(),
            },
            _ => "no such command, or no such wallet".to_owned(),
        }
    }
}

/// Does it, and says so.
fn told(work: impl FnOnce()) -> String {
    work();
    "ok".to_owned()
}

/// A transaction in one line.
fn shown(mined: &Mined) -> String {
    serde_json::json!({
        "wallet": mined.wallet,
        "block": mined.block,
        "call": name(&mined.command),
        "task": mined.command.round_ref().map(|at| at.task.clone()),
        "round": mined.command.round_ref().map(|at| at.round),
        "gas": mined.gas,
        "accepted": mined.accepted,
        "awaited": mined.awaited,
    })
    .to_string()
}

/// The variant's name.
fn name(command: &Command) -> String {
    let text = format!("{command:?}");
    let end = text.find(|c: char| !c.is_alphanumeric());
    text[..end.unwrap_or(text.len())].to_owned()
}
