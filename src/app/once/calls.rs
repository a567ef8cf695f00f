//! The calls of the connector that may stand on record once: for each, how it is seen there and how it is put there.
//!
//! Two may be repeated by their nature and are here all the same: the end of a task, and a data block, where the last word counts. What
//! another node could put in a call's place is [`Standing::Another`]; under an address only its node speaks, so that this is rare.

use delta_domain::ids::{Address, Digest, TaskId, TxHash};
use delta_domain::task::TaskKind;
use delta_ports::clock::Clock;
use delta_ports::connector::{
    Connector, RawPublicKeys, RawShareRecord, RoundKey, RoundStatus, ShareKind, UNTOLD,
};
use delta_ports::{PortError, PortErrorKind};

use super::{Standing, Statement};
use crate::backoff::Backoff;

/// How often the record is looked at after a refusal: for some ten seconds in all. It comes from the very chain that has taken the call
/// back, so that mostly the first look tells.
const LOOKS: u32 = 8;

/// A call, by whom it is made and what about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Call<'a> {
    /// A member joins a round.
    Join(&'a Address, &'a RoundKey, &'a RawPublicKeys),
    /// A member commits to its shares, to each receiver.
    Commit(
        &'a Address,
        &'a RoundKey,
        ShareKind,
        &'a [(Address, Digest)],
    ),
    /// A member commits to its masked result.
    Result(&'a Address, &'a RoundKey, &'a Digest),
    /// A member reveals shares that it holds, in wire form.
    Reveal(
        &'a Address,
        &'a RoundKey,
        ShareKind,
        &'a [(Address, String)],
    ),
    /// A coordinator leads its round a step on.
    Lead(&'a Address, &'a RoundKey, Lead<'a>),
    /// A coordinator declares its task finished.
    Finish(&'a Address, TaskKind, &'a TaskId),
    /// A node registers a data block: its name, its index, what it commits to.
    Register(&'a Address, &'a str, i32, &'a str),
}

/// A step of a round that only its coordinator takes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lead<'a> {
    /// With the commitment to the weights that members prove about, where they do.
    Start(Option<&'a Digest>),
    Select(&'a [Address]),
    Calculate(&'a [Address]),
    Aggregate(&'a [Address]),
    End,
}

/// A call, and where it is to stand.
pub(crate) struct OnRecord<'a> {
    pub(crate) connector: &'a dyn Connector,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) call: Call<'a>,
}

impl Statement for OnRecord<'_> {
    type Receipt = TxHash;
    type Error = PortError;

    fn is_refusal(error: &PortError) -> bool {
        error.kind() == PortErrorKind::Rejected
    }

    async fn look(&mut self) -> Result<Standing, PortError> {
        let connector = self.connector;
        match self.call {
            Call::Join(me, key, keys) => joined(connector, me, key, keys).await,
            Call::Commit(me, key, kind, list) => committed(connector, me, key, kind, list).await,
            Call::Result(me, key, commitment) => {
                let said = connector.result_commitment(key, me).await?;
                let said = said.map(|text| text.parse::<Digest>());
                Ok(Standing::of(said.as_ref(), &Ok(*commitment)))
            }
            Call::Reveal(me, key, kind, shares) => revealed(connector, me, key, kind, shares).await,
            Call::Lead(_, key, lead) => {
                // Nobody else moves the round: where it has got so far, this node has led it there.
                let round = connector.round(key).await?;
                let far = round.is_some_and(|round| round.status >= lead.status());
                Ok(Standing::there(far))
            }
            Call::Finish(_, kind, task) => match connector.task(kind, task).await {
                Ok(record) => Ok(Standing::there(record.is_some_and(|task| task.finished))),
                // Some do not show a task whose owner is not registered now.
                Err(e) if Self::is_refusal(&e) => Ok(Standing::Absent),
                Err(e) => Err(e),
            },
            Call::Register(me, name, index, text) => {
                let said = connector.data_commitment(me, name, index).await?;
                // Another text gives way.
                let same = said.is_some_and(|said| said.eq_ignore_ascii_case(text));
                Ok(Standing::there(same))
            }
        }
    }

    async fn put(&mut self) -> Result<TxHash, PortError> {
        let connector = self.connector;
        match self.call {
            Call::Join(me, key, keys) => connector.join_round(me, key, keys).await,
            Call::Commit(me, key, kind, list) => {
                connector
                    .upload_share_commitments(me, key, kind, list)
                    .await
            }
            Call::Result(me, key, commitment) => {
                connector
                    .upload_result_commitment(me, key, commitment)
                    .await
            }
            Call::Reveal(me, key, kind, shares) => {
                connector.reveal_shares(me, key, kind, shares).await
            }
            Call::Lead(me, key, lead) => match lead {
                Lead::Start(weights) => connector.start_round(me, key, weights).await,
                Lead::Select(u1) => connector.select_candidates(me, key, u1).await,
                Lead::Calculate(u2) => connector.start_calculation(me, key, u2).await,
                Lead::Aggregate(u3) => connector.start_aggregation(me, key, u3).await,
                Lead::End => connector.end_round(me, key).await,
            },
            Call::Finish(me, kind, task) => connector.finish_task(kind, me, task).await,
            Call::Register(me, name, index, text) => {
                connector.register_data(me, name, index, text).await
            }
        }
    }

    async fn wait_to_look(&mut self, looks: u32) -> bool {
        wait_to_look(self.clock, looks).await
    }
}

/// As [`Statement::wait_to_look`], on a record that other programs fill.
pub(crate) async fn wait_to_look(clock: &dyn Clock, looks: u32) -> bool {
    let mut backoff = Backoff::NOTICE;
    let pause = (0..looks).map(|_| backoff.pause()).last();
    match pause.filter(|_| looks <= LOOKS) {
        Some(pause) => {
            clock.sleep(pause).await;
            true
        }
        None => false,
    }
}

impl Lead<'_> {
    /// Where the round is after the step.
    fn status(self) -> RoundStatus {
        match self {
            Self::Start(_) => RoundStatus::Started,
            Self::Select(_) => RoundStatus::Running,
            Self::Calculate(_) => RoundStatus::Calculating,
            Self::Aggregate(_) => RoundStatus::Aggregating,
            Self::End => RoundStatus::Finished,
        }
    }
}

async fn joined(
    connector: &dyn Connector,
    me: &Address,
    key: &RoundKey,
    keys: &RawPublicKeys,
) -> Result<Standing, PortError> {
    let round = connector.round(key).await?;
    // Some connectors write addresses in other letters than they were given.
    let is_me = |a: &String| a.eq_ignore_ascii_case(me.as_str());
    if !round.is_some_and(|round| round.joined.iter().any(is_me)) {
        return Ok(Standing::Absent);
    }
    // Some show keys to nobody before the selection: then nothing speaks against it.
    let shown = match connector.public_keys(key, std::slice::from_ref(me)).await {
        Ok(shown) => shown.into_iter().next(),
        Err(e) if e.kind() == PortErrorKind::Rejected => None,
        Err(e) => return Err(e),
    };
    let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    Ok(match shown {
        Some(shown) if !same(&shown.pk1, &keys.pk1) || !same(&shown.pk2, &keys.pk2) => {
            Standing::Another
        }
        _ => Standing::There,
    })
}

/// They are put there in their order: with the last one, all are.
async fn committed(
    connector: &dyn Connector,
    me: &Address,
    key: &RoundKey,
    kind: ShareKind,
    list: &[(Address, Digest)],
) -> Result<Standing, PortError> {
    let Some((receiver, commitment)) = list.last() else {
        return Ok(Standing::There);
    };
    let of_me = std::slice::from_ref(me);
    let records = connector.share_records(key, of_me, receiver).await?;
    let said = |record: &RawShareRecord| match kind {
        ShareKind::SelfMaskSeed => record.seed_commitment.clone(),
        ShareKind::MaskKey => record.secret_key_commitment.clone(),
    };
    Ok(match records.first().and_then(said) {
        // Nobody but this node commits for it.
        Some(text) if text == UNTOLD => Standing::There,
        text => Standing::of(
            text.map(|text| text.parse::<Digest>()).as_ref(),
            &Ok(*commitment),
        ),
    })
}

async fn revealed(
    connector: &dyn Connector,
    me: &Address,
    key: &RoundKey,
    kind: ShareKind,
    shares: &[(Address, String)],
) -> Result<Standing, PortError> {
    let senders: Vec<Address> = shares.iter().map(|(sender, _)| sender.clone()).collect();
    let records = connector.share_records(key, &senders, me).await?;
    let each = records.into_iter().zip(shares).map(|(record, (_, share))| {
        let said = match kind {
            ShareKind::SelfMaskSeed => record.seed,
            ShareKind::MaskKey => record.secret_key,
        };
        let small = |text: &str| text.to_ascii_lowercase();
        Standing::of(said.as_deref().map(small).as_ref(), &small(share))
    });
    let each: Vec<Standing> = each.collect();
    let mut worst = [Standing::Another, Standing::Absent].into_iter();
    Ok(worst
        .find(|standing| each.contains(standing))
        .unwrap_or(Standing::There))
}
