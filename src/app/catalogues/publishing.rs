//! Making this node's catalogue: from the owner's words, anew whenever they change, and signed again before it ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Catalogues, Own, held};
use delta_domain::catalogue::{Listing, MAX_DATASETS, SignedCatalogue};
use delta_domain::ids::DatasetName;
use delta_domain::policy::Role;
use delta_domain::time::Timestamp;
use delta_ports::catalogue::OwnDataset;
use delta_ports::policy::OwnerRules;
use delta_ports::{PortError, report};

/// How often it is looked whether the owner says something else.
const LOOK: Duration = Duration::from_secs(2);
/// How long a catalogue is shown before files are looked at again and it is signed anew.
const FRESH: Duration = Duration::from_secs(3600);
/// The same where a file could not be looked at.
const AGAIN: Duration = Duration::from_secs(60);

impl Catalogues {
    /// Keeps this node's catalogue up to what its owner says, for as long as the node runs.
    pub(crate) async fn keep_published(self: Arc<Self>) {
        loop {
            self.renew().await;
            self.clock.sleep(LOOK).await;
        }
    }

    /// Makes the catalogue anew where it is time.
    pub(super) async fn renew(&self) {
        let (rules, now) = (self.policies.rules(), self.clock.now());
        let before = {
            let own = held(&self.own);
            let lasts = if own.whole { FRESH } else { AGAIN };
            match &own.made_of {
                Some((of, at)) if *of == rules && *at + lasts > now => return,
                Some((of, _)) => Some(of.published.clone()),
                None => None,
            }
        };
        let (listings, whole) = self.listings(&rules).await;
        let signed = self.sign(listings, now);
        if before.as_ref() != Some(&rules.published) {
            tell(signed.as_deref(), before.is_some());
        }
        *held(&self.own) = Own {
            signed,
            made_of: Some((rules, now)),
            whole,
        };
    }

    /// What is published now, and whether everything could be looked at.
    async fn listings(&self, rules: &OwnerRules) -> (Vec<Listing>, bool) {
        let (mut listings, mut whole) = (Vec::new(), true);
        for (name, said) in rules.published.iter().take(MAX_DATASETS) {
            let policy = rules.policies.of(name);
            // Columns without names have no names to publish, and the first line is a row.
            let by_place = policy.columns.as_ref().is_some_and(by_place);
            if said.wants_outline() && by_place {
                tracing::warn!(
                    "the columns of {name} are not published: its rules name them by their places, so it has no header"
                );
            }
            let outline = match said.wants_outline() && !by_place {
                true => Some(self.executor.outline(name).await),
                false => None,
            };
            if let Some(Err(e)) = &outline {
                whole = false;
                let why = report(e);
                tracing::warn!("the columns of {name} are not published: {why}");
            }
            let outline = outline.and_then(Result::ok);
            let rows = match said.wants_rows() {
                true => self.rows(name).await,
                false => None,
            };
            let listing = said.listing(name, policy, outline.as_ref(), rows);
            match listing.check() {
                Ok(()) => listings.push(listing),
                Err(e) => tracing::error!("{name} is not published: {e}"),
            }
        }
        (listings, whole)
    }

    async fn rows(&self, name: &DatasetName) -> Option<u64> {
        let names = [name.clone()].into();
        match self.executor.describe(&names).await {
            Ok(found) => found.first()?.rows(),
            Err(e) => {
                tracing::warn!("the rows of {name} cannot be counted: {}", report(&e));
                None
            }
        }
    }

    /// Signs these, and leaves out what makes it too long for a catalogue.
    fn sign(&self, mut listings: Vec<Listing>, now: Timestamp) -> Option<Arc<SignedCatalogue>> {
        let before = held(&self.own).signed.clone();
        // Others believe the one that was signed last, also after this machine's clock was set back.
        let after = before.map(|b| b.catalogue.issued_at() + Duration::from_millis(1));
        let at = after.map_or(now, |after| after.max(now));
        while !listings.is_empty() {
            if let Some(signed) = SignedCatalogue::issue(&self.key, listings.clone(), at) {
                return Some(Arc::new(signed));
            }
            if let Some(left_out) = listings.pop() {
                tracing::error!(
                    "{} is not published: the catalogue would be too long with it; say less about columns",
                    left_out.name
                );
            }
        }
        None
    }

    /// This node's datasets, for its owner.
    ///
    /// # Errors
    /// They cannot be looked at.
    pub(crate) async fn own_datasets(&self) -> Result<Vec<OwnDataset>, PortError> {
        let rules = self.policies.rules();
        let found = self.executor.datasets().await?.into_iter();
        let datasets = found.map(|dataset| OwnDataset {
            usable: dataset.is_usable(),
            ruled: rules.policies.written().contains_key(&dataset.name),
            approval: rules.policies.of(&dataset.name).approval,
            published: rules.published.contains_key(&dataset.name),
            description: dataset.description,
            name: dataset.name,
        });
        Ok(datasets.collect())
    }
}

/// Whether rules name the columns of a file without a header.
fn by_place(columns: &BTreeMap<String, Role>) -> bool {
    !columns.is_empty() && columns.keys().all(|name| name.parse::<u32>().is_ok())
}

/// Says what everybody may read from now on.
fn tell(signed: Option<&SignedCatalogue>, changed: bool) {
    match signed {
        Some(signed) => {
            let names: Vec<&str> = signed
                .catalogue
                .datasets()
                .iter()
                .map(|listing| listing.name.as_str())
                .collect();
            tracing::info!(
                "this node's catalogue, which everybody may read, has: {}",
                names.join(", ")
            );
        }
        None if changed => tracing::info!("this node publishes no catalogue any more"),
        None => {}
    }
}
