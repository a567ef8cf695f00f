//! What transactions cost, in gas, roughly.
//!
//! A transaction that wants more than a block has runs out of it: it is in a block, and does nothing.
//!
//! Measured on the deployed contracts (docs/protocol/connector.md, On a blockchain): 52,300 for the commitment of a pair, 100,000 for a
//! share that is revealed. The rest is estimated from what is stored: 22,100 for a word that was empty.

use delta_domain::connector_record::Command;

/// The most that one block takes.
pub(super) const BLOCK: u64 = 30_000_000;

/// Of any transaction, before it does anything.
const BASE: u64 = 30_000;
const WORD: u64 = 22_100;
const COMMITMENT: u64 = 52_300;
const SHARE: u64 = 100_000;
/// Of an address in a list.
const LISTED: u64 = 5_000;

/// Gas of a transaction with this call.
pub(super) fn of(command: &Command) -> u64 {
    let words = |texts: &[&str]| {
        let of = |text: &&str| 1 + (text.len() as u64) / 64;
        WORD * texts.iter().map(of).sum::<u64>()
    };
    BASE + match command {
        Command::Join { url, name } | Command::JoinAs { url, name, .. } => {
            2 * WORD + words(&[url, name])
        }
        Command::UpdateUrl { url: text, .. } | Command::UpdateName { name: text, .. } => {
            words(&[text])
        }
        Command::RegisterData { commitment, .. } => WORD + words(&[commitment]),
        Command::CreateTask(task) => 4 * WORD + words(&[&task.dataset, &task.commitment]),
        Command::StartRound { .. } => 4 * WORD,
        Command::JoinRound { pk1, pk2, .. } => 2 * WORD + words(&[pk1, pk2]),
        Command::Advance { clients, .. } => WORD + LISTED * clients.len() as u64,
        Command::UploadCommitments { receivers, .. } => COMMITMENT * receivers.len() as u64,
        Command::UploadResult { commitment, .. } => WORD + words(&[commitment]),
        Command::UploadShares { senders, .. } => SHARE * senders.len() as u64,
        // Half a million for the pairing.
        Command::Verify(_) => 500_000,
        _ => WORD,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use delta_domain::connector_record::{RoundRef, SecretKind};
    use delta_domain::task::TaskKind;

    #[test]
    fn a_block_holds_the_commitments_of_about_570_pairs() {
        let upload = |pairs: usize| Command::UploadCommitments {
            secret: SecretKind::Seed,
            at: RoundRef {
                kind: TaskKind::Horizontal,
                task: String::new(),
                round: 1,
            },
            address: String::new(),
            receivers: vec![String::new(); pairs],
            commitments: vec![String::new(); pairs],
        };
        assert!(of(&upload(570)) <= BLOCK);
        assert!(of(&upload(580)) > BLOCK);
    }
}
