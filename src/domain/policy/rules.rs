//! The rules of one dataset, and those of all.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::question::{Author, Question};
use super::verify::VerifyRules;
use crate::identity::{Fingerprint, MAX_WORD_BYTES, NodeKey, presentable};
use crate::ids::DatasetName;
use crate::records::ReleaseRules;
use crate::secagg::keys::PublicKey;
use crate::time::Timestamp;

/// The rules of one dataset. A field without a value sets no limit of its own. Made by [`PolicyForm`](super::PolicyForm).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Policy {
    /// What each column is; `None`: columns are not told apart. Names without spaces around them.
    pub columns: Option<BTreeMap<String, Role>>,
    /// Columns by which tasks may match its rows with those of other datasets. Names without spaces around them.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub joins: BTreeSet<String>,
    /// Who may ask; `None`: anybody.
    pub who: Option<BTreeSet<Who>>,
    /// Kinds of tasks; `None`: all.
    pub kinds: Option<BTreeSet<Kind>>,
    /// Fewest members of a sum.
    pub members: Option<u32>,
    /// Colluding members that a round must withstand.
    pub colluders: Option<u32>,
    /// Fewest local rows that a task reads.
    pub rows: Option<u64>,
    /// Most numbers that leave in a round, for each row read; above 0.
    pub outputs_per_row: Option<f64>,
    /// Most rounds within 24 hours.
    pub rounds_per_day: Option<u32>,
    /// When the owner is asked.
    pub approval: ApprovalMode,
    /// The budget for tasks under noise.
    pub privacy: Option<Privacy>,
    /// Limits of controlled releases; `None`: the defaults.
    pub records: Option<ReleaseRules>,
    /// Limits of certified tasks; `None`: none of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify: Option<VerifyRules>,
    /// The first moment at which nothing is allowed any more.
    pub until: Option<Timestamp>,
}

impl Policy {
    /// The limits of controlled releases: as written or the defaults, and never more numbers a row than any task may have.
    #[must_use]
    pub fn release_rules(&self) -> ReleaseRules {
        let rules = self.records.unwrap_or_default();
        let most = self.outputs_per_row.unwrap_or(rules.outputs_per_row);
        ReleaseRules {
            outputs_per_row: rules.outputs_per_row.min(most),
            ..rules
        }
    }
}

/// What a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A measurement.
    Value,
    /// Points at people together with others: age, place, sex.
    Quasi,
    /// Points at one person: nothing may be selected by it without asking.
    Identifier,
    /// Does not exist for tasks.
    Hidden,
}

impl Role {
    /// As in the file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Quasi => "quasi",
            Self::Identifier => "identifier",
            Self::Hidden => "hidden",
        }
    }
}

/// What a task is by its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Sums in one or a few rounds.
    Statistics,
    /// Rounds whose sums are equations to solve, and tasks of type `hlr`.
    Regression,
    /// Rounds repeated on a model, or mini-batches that carry one.
    Learning,
}

impl Kind {
    /// As in the file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Statistics => "statistics",
            Self::Regression => "regression",
            Self::Learning => "learning",
        }
    }
}

/// When the owner is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ApprovalMode {
    /// About every task.
    #[default]
    Ask,
    /// Not about tasks under differential privacy within the budget.
    Private,
    /// Not about tasks that are safe by construction.
    Controlled,
    /// Never: nobody may ask.
    Never,
}

impl ApprovalMode {
    /// As in the file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Private => "private",
            Self::Controlled => "controlled",
            Self::Never => "never",
        }
    }
}

/// The budget for tasks under noise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Privacy {
    /// Whom the noise must protect at least.
    pub unit: Unit,
    /// The most that all tasks of one period may cost together.
    pub epsilon: f64,
    /// The delta at which that cost is stated.
    pub delta: f64,
    /// When a new period begins.
    pub renew: Renewal,
}

/// Whom noise protects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// One row.
    Record,
    /// All rows with the same value in this column.
    Person(String),
    /// Everything that one member has.
    Member,
}

impl Unit {
    /// Whether protecting `self` protects `other` too. A person's records are bounded together: one record more can turn the whole vector
    /// around, which is twice the bound. So it is with a member's, and what noise for members costs a narrower unit is told at twice the
    /// bound.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        *self == Self::Member || self == other
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record => f.write_str("record"),
            Self::Person(key) => write!(f, "person by {key:?}"),
            Self::Member => f.write_str("member"),
        }
    }
}

/// When a budget is full again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Renewal {
    /// Never.
    #[default]
    Never,
    /// On the first of January, UTC.
    Yearly,
    /// On the first of the month, UTC.
    Monthly,
    /// At midnight, UTC.
    Daily,
}

impl Renewal {
    /// As in the file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Yearly => "yearly",
            Self::Monthly => "monthly",
            Self::Daily => "daily",
        }
    }
}

/// Somebody who may ask: `org:NAME`, a node's fingerprint or key, or `author:NAME@` and one of these.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// Nodes of this organisation, as the roster has it.
    Organisation(String),
    /// The node with this key.
    Node(Fingerprint),
    /// An author, as the nodes of an organisation, or one node, name it.
    Author(String, Box<Who>),
}

impl Who {
    /// Whether `author` is meant.
    #[must_use]
    pub fn is(&self, author: &Author) -> bool {
        match self {
            Self::Organisation(name) => author.organisation.as_ref() == Some(name),
            Self::Node(print) => author.node == Some(*print),
            Self::Author(name, at) => author.name.as_ref() == Some(name) && at.is(author),
        }
    }
}

/// Why a text names nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} names nobody: expected org:NAME, a node's key or fingerprint, or author:NAME@ and one of these"
)]
pub struct WhoError(String);

impl FromStr for Who {
    type Err = WhoError;

    fn from_str(text: &str) -> Result<Self, WhoError> {
        let wrong = || WhoError(text.chars().take(80).collect());
        let word = |word: &str| {
            let fits = word.len() <= MAX_WORD_BYTES && presentable(word).as_deref() == Some(word);
            fits.then(|| word.to_owned()).ok_or_else(wrong)
        };
        let text = text.trim();
        if let Some(rest) = text.strip_prefix("author:") {
            let (name, at) = rest.split_once('@').ok_or_else(wrong)?;
            return match at.parse::<Self>().map_err(|_| wrong())? {
                Self::Author(..) => Err(wrong()),
                at => Ok(Self::Author(word(name)?, Box::new(at))),
            };
        }
        if let Some(name) = text.strip_prefix("org:") {
            return Ok(Self::Organisation(word(name)?));
        }
        match PublicKey::parse(NodeKey::CURVE, text) {
            Ok(key) => Ok(Self::Node(Fingerprint::of(&key))),
            Err(_) => Ok(Self::Node(text.parse().map_err(|_| wrong())?)),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Organisation(name) => write!(f, "org:{name}"),
            Self::Node(print) => print.fmt(f),
            Self::Author(name, at) => write!(f, "author:{name}@{at}"),
        }
    }
}

impl Serialize for Who {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The rules of all datasets of a node.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Policies {
    datasets: BTreeMap<DatasetName, Policy>,
    default: Policy,
}

impl Policies {
    /// These, and for every other dataset the rule that asks.
    #[must_use]
    pub fn new(datasets: BTreeMap<DatasetName, Policy>) -> Self {
        Self {
            datasets,
            default: Policy::default(),
        }
    }

    /// The fewest members, and the colluders to be withstood, that the rules of what a question reads ask for.
    #[must_use]
    pub fn floor(&self, question: &Question) -> (u32, Option<u32>) {
        let of = question.reads.keys().map(|name| self.of(name));
        of.fold((0, None), |(members, colluders), policy| {
            let members = members.max(policy.members.unwrap_or(0));
            (members, colluders.max(policy.colluders))
        })
    }

    /// The rules of a dataset; those that ask where nobody wrote any.
    #[must_use]
    pub fn of(&self, dataset: &DatasetName) -> &Policy {
        self.datasets.get(dataset).unwrap_or(&self.default)
    }

    /// Datasets with rules of their own.
    #[must_use]
    pub fn written(&self) -> &BTreeMap<DatasetName, Policy> {
        &self.datasets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn who_is_read_as_it_is_written() {
        let print = NodeKey::new(&Secret::new([3; 32])).unwrap().fingerprint();
        for text in [
            "org:University Hospital".to_owned(),
            print.to_string(),
            format!("author:anna@{print}"),
            "author:anna@org:A".to_owned(),
        ] {
            assert_eq!(text.parse::<Who>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "anna",
            "org:",
            "org: a",
            "author:anna",
            "author:@org:A",
            "author:a@author:b@org:A",
            "org:a\u{202e}b",
        ] {
            assert!(bad.parse::<Who>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_author_counts_only_at_its_node() {
        let who: Who = "author:anna@org:A".parse().unwrap();
        let of = |organisation: Option<&str>, name: Option<&str>| Author {
            organisation: organisation.map(str::to_owned),
            name: name.map(str::to_owned),
            ..Author::default()
        };
        assert!(who.is(&of(Some("A"), Some("anna"))));
        assert!(!who.is(&of(Some("B"), Some("anna"))));
        assert!(!who.is(&of(None, Some("anna"))));
        assert!(!who.is(&of(Some("A"), None)));
    }

    #[test]
    fn a_wider_unit_covers_a_narrower_one() {
        let person = |key: &str| Unit::Person(key.to_owned());
        assert!(Unit::Member.covers(&person("id")) && Unit::Member.covers(&Unit::Record));
        assert!(!person("id").covers(&Unit::Record) && person("id").covers(&person("id")));
        assert!(!person("id").covers(&person("other")) && !person("id").covers(&Unit::Member));
        assert!(!Unit::Record.covers(&person("id")) && !Unit::Record.covers(&Unit::Member));
    }
}
