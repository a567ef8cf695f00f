//! What connectors say when they say no, and why: the one place where texts of another program are read.
//!
//! The reference connector has one code for every refusal and tells them apart by text alone (docs/protocol/connector.md). So its texts,
//! and the ones that the embedded connector adds, are recognised here once, and everything else in this program steers by the
//! [`RejectionReason`]. What is not recognised is [`RejectionReason::Other`]: no program may rely on it.

use delta_domain::connector_record::RejectionReason::{self, *};

/// Texts by reason, word by word: `{}` stands for one word, a last `{..}` for anything or nothing. No text fits two of them.
const TEXTS: [(RejectionReason, &[&str]); 16] = [
    (NoSuchNode, &["node of address {} doesn't exist"]),
    (NodeNotAlive, &["node of address {} is not alive"]),
    (NoSuchData, &["{} doesn't have dataset {..}"]),
    (
        NoSuchTask,
        &["task {} doesn't exist", "task of id {} doesn't exist"],
    ),
    (TaskFinished, &["task {} is already finished"]),
    (
        TaskNotFinished,
        &[
            "task {} is not finished",
            "task {} final round is not finished",
        ],
    ),
    (
        NoSuchRound,
        &[
            "task {} final round doesn't exist",
            "task {} round {} doesn't exist",
        ],
    ),
    (
        AlreadyThere,
        &[
            "task {} round {} already exists",
            "task {} round {} member {} has already joined",
            "task {} round {} member {} has already uploaded another {..}",
            "task {} round {} some senders have upload {..}",
            "insert into `result_commitment` {..}",
            "insert into `hlrresult_commitment` {..}",
            "{} has already verified",
            "task {} verification has already been confirmed",
        ],
    ),
    (
        WrongPhase,
        &[
            "task {} round {} status is not Started",
            "task {} round {} is not in Started status",
            "task {} round {} is not in calculating status",
            "task {} round {} member {} is not in calculating status",
            "round {} status is not in running status",
            "round {} status is not in calculating status",
            "round {} status is not in aggregationg status",
        ],
    ),
    (
        NoSuchMember,
        &[
            "task {} round {} member {} doesn't exist",
            "task {} round {} some member in clients doesn't exist",
            "task {} round {} some receivers doesn't exist",
            "task {} round {} some senders doesn't exist",
            "task {} round {} some senders do not exist",
            "client {} is invalid",
            "client {} is not valid",
            "member {} hasn't join this round",
        ],
    ),
    (
        KeysMissing,
        &[
            "task {} round {} some member doesn't upload pk1",
            "task {} round {} some member doesn't upload pk2",
        ],
    ),
    (
        SeedCommitmentMissing,
        &["task {} round {} some senders do not have seed commitments"],
    ),
    (
        KeyCommitmentMissing,
        &["task {} round {} some senders do not have secret key commitments"],
    ),
    (
        ResultMissing,
        &[
            "task {} round {} member {} hasn't upload result commitment",
            // On a blockchain, which it asks for a text.
            "getClientPublickeys return type error null",
        ],
    ),
    (
        BadList,
        &[
            "task {} round {} receivers' length is not equal to commitments' length",
            "task {} round {} senders' length is not equal to seeds' length",
            "task {} round {} senders' length is not equal to secretKeys' length",
            "task {} round {} the list of {} is empty",
            "task {} round {} a client is listed twice",
        ],
    ),
    (
        ProofRefused,
        &[
            "{} is not allowed to verify",
            "task {} verification is forbidden",
            "task {} verfication is already failed",
            "task {} verification is already failed",
            "task {} verification is not finished",
            "{} gradient precision is lower than tolerance",
            "{} gradient precision is not consistent",
        ],
    ),
];

/// Why a connector refused with this text.
pub(crate) fn reason_of(text: &str) -> RejectionReason {
    TEXTS
        .iter()
        .find(|(_, forms)| forms.iter().any(|form| fits(form, text)))
        .map_or(Other, |(reason, _)| *reason)
}

fn fits(form: &str, text: &str) -> bool {
    let mut words = text.split(' ');
    for expected in form.split(' ') {
        match (expected, words.next()) {
            ("{..}", _) => return true,
            ("{}", Some(_)) => {}
            (_, found) if found == Some(expected) => {}
            _ => return false,
        }
    }
    words.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_between_are_anything_and_the_rest_is_exact() {
        let task = format!("0x{}", "0".repeat(64));
        for (text, reason) in [
            ("node of address 0x1 is not alive".to_owned(), NodeNotAlive),
            ("node of address  is not alive".to_owned(), NodeNotAlive),
            ("node of address 0x1 is not alive any more".to_owned(), Other),
            ("a node of address 0x1 is not alive".to_owned(), Other),
            (format!("task {task} doesn't exist"), NoSuchTask),
            (format!("task {task} round -3 doesn't exist"), NoSuchRound),
            (format!("task {task} round 1 member 0x2 doesn't exist"), NoSuchMember),
            ("0x1 doesn't have dataset node of address 0x1 is not alive".to_owned(), NoSuchData),
            ("0x1 doesn't have dataset ".to_owned(), NoSuchData),
            (
                "insert into `result_commitment` (`commitment`, `member_id`) values ('0x', 1) - SQLITE_CONSTRAINT: UNIQUE \
                 constraint failed: result_commitment.member_id"
                    .to_owned(),
                AlreadyThere,
            ),
            (String::new(), Other),
        ] {
            assert_eq!(reason_of(&text), reason, "{text}");
        }
    }

    #[test]
    fn no_text_fits_two_forms() {
        let forms = || TEXTS.iter().flat_map(|(_, forms)| *forms);
        for form in forms() {
            let text = form.replace("{..}", "x y").replace("{}", "x");
            assert_eq!(forms().filter(|f| fits(f, &text)).count(), 1, "{form}");
        }
    }
}
