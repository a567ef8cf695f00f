//! Looking at data before any task runs on them: in workers, like all reading, and once for what has not changed since.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::OnnxExecutor;
use super::answer::wrong_answer;
use super::versions::{Look, Told};
use crate::datasets::{self, ColumnKind, Located, TableProfile};
use crate::frame::Blobs;
use crate::job::{Job, Reply, RuntimeChoice, Work};
use delta_domain::bundle::Bundle;
use delta_domain::catalogue::{ColumnType, Outline};
use delta_domain::ids::{DatasetName, Digest};
use delta_ports::executor::DatasetSummary;
use delta_ports::{PortError, PortErrorKind};

/// What `describe` asks of a file.
const WHAT: &str = "what is it";
/// What `outline` asks of a file.
const OUTLINE: &str = "which columns";

/// Places, and how their files look now.
type Looks = BTreeMap<DatasetName, (Located, Option<Look>)>;

impl OnnxExecutor {
    /// Compares the data with what a task expects of them.
    pub(super) async fn inspect(&self, bundle: &Arc<Bundle>) -> Result<(), PortError> {
        let op = "executor.check_data";
        let names = bundle.manifest().datasets.keys().cloned().collect();
        // Tasks that ask for the same of a file are answered by one look.
        let manifest = bundle.manifest();
        let all = looks(self.places.locate(op, names)?);
        let joined = |name: &DatasetName| -> Vec<_> {
            let joins = manifest.joins_of(name).iter();
            joins
                .filter_map(|join| all.get_key_value(&join.dataset))
                .collect()
        };
        let question = |name: &DatasetName| {
            let asked = datasets::asked_of(manifest, name);
            // An answer about keys holds as long as both files are what they were.
            let others = joined(name);
            format!(
                "fits {}",
                Digest::of(format!("{asked} {others:?}").as_bytes())
            )
        };
        let due = |(name, (place, look)): &(&DatasetName, &(Located, Option<Look>))| {
            self.told.of(place, &question(name), *look).is_none()
        };
        let due: Vec<_> = all.iter().filter(due).map(|(name, _)| name).collect();
        let with = due
            .iter()
            .flat_map(|name| joined(name))
            .map(|(name, _)| name);
        let names: BTreeSet<&DatasetName> = due.iter().copied().chain(with).collect();
        if names.is_empty() {
            return Ok(());
        }
        let of = |name: &DatasetName| Some((name.clone(), all.get(name)?.clone()));
        let looks: Looks = names.into_iter().filter_map(of).collect();
        let work = |datasets| Work::Inspect {
            manifest: Box::new(bundle.manifest().clone()),
            datasets,
        };
        match self.look(op, work, &looks).await? {
            Reply::Inspected => {}
            _ => return Err(wrong_answer(op)),
        }
        for (name, (place, look)) in looks {
            self.told
                .remember(&place, &question(&name), look, String::new());
        }
        Ok(())
    }

    /// What is in a table, column by column: for its owner alone.
    ///
    /// # Errors
    /// `NotFound` when there is no such dataset, `Corrupt` when it is no table that can be read.
    pub async fn profile(&self, name: &DatasetName) -> Result<TableProfile, PortError> {
        let op = "executor.profile";
        let looks = looks(self.places.locate(op, BTreeSet::from([name.clone()]))?);
        let work = |datasets: BTreeMap<DatasetName, Located>| Work::Profile {
            place: datasets.into_values().next(),
        };
        match self.look(op, work, &looks).await? {
            Reply::Profiled(profile) => Ok(profile),
            _ => Err(wrong_answer(op)),
        }
    }

    /// Names and plain types of a table's columns. Nothing else of what was seen is kept.
    pub(super) async fn outlined(&self, name: &DatasetName) -> Result<Outline, PortError> {
        let op = "executor.outline";
        let looks = looks(self.places.locate(op, BTreeSet::from([name.clone()]))?);
        let looked = looks.get(name);
        let known = looked.and_then(|(place, look)| self.told.of(place, OUTLINE, *look));
        if let Some(outline) = known.and_then(|text| serde_json::from_str(&text).ok()) {
            return Ok(outline);
        }
        let profile = self.profile(name).await?;
        // Without a header the first line is a row, and a row is data.
        let has_names = looked.is_some_and(|(place, _)| datasets::has_schema(&place.path));
        if !has_names && !profile.has_header() {
            let text = format!(
                "dataset {name}: its first line may be a row and no header, so no name is published; write the columns into the catalogue"
            );
            return Err(PortError::new(PortErrorKind::Corrupt, op, text));
        }
        let columns = profile.columns.into_iter();
        let columns = columns.map(|column| (column.name, plain_type(column.kind)));
        let outline = Outline {
            columns: columns.collect(),
        };
        if let (Some((place, look)), Ok(text)) = (looked, serde_json::to_string(&outline)) {
            self.told.remember(place, OUTLINE, *look, text);
        }
        Ok(outline)
    }

    /// What datasets are, in plain words, by name. One that cannot be found is left out, unless `all` are wanted.
    pub(super) async fn told_of(
        &self,
        op: &'static str,
        names: BTreeSet<DatasetName>,
        all: bool,
    ) -> Result<Vec<DatasetSummary>, PortError> {
        let mut told: BTreeMap<DatasetName, String> = BTreeMap::new();
        let mut found = BTreeMap::new();
        for (name, place) in self.places.look_for(op, names)? {
            match place {
                Ok(place) => drop(found.insert(name, place)),
                Err(failure) if all => drop(told.insert(name, format!("unusable: {failure}"))),
                Err(_) => {}
            }
        }
        let mut looks = looks(found);
        looks.retain(
            |name, (place, look)| match self.told.of(place, WHAT, *look) {
                Some(known) => {
                    told.insert(name.clone(), known);
                    false
                }
                None => true,
            },
        );
        if !looks.is_empty() {
            self.describe_now(op, &looks, &mut told).await?;
        }
        let summary = |(name, description)| DatasetSummary { description, name };
        Ok(told.into_iter().map(summary).collect())
    }

    async fn describe_now(
        &self,
        op: &'static str,
        looks: &Looks,
        told: &mut BTreeMap<DatasetName, String>,
    ) -> Result<(), PortError> {
        let work = |datasets| Work::Describe { datasets };
        let described = match self.look(op, work, looks).await {
            Ok(Reply::Described(described)) => described,
            Ok(_) => return Err(wrong_answer(op)),
            // One file that is too much for a worker must not hide the others.
            Err(_) if looks.len() > 1 => {
                for (name, look) in looks {
                    let one = BTreeMap::from([(name.clone(), look.clone())]);
                    Box::pin(self.describe_now(op, &one, told)).await?;
                }
                return Ok(());
            }
            Err(e) if e.kind() == PortErrorKind::Unavailable => return Err(e),
            Err(e) => {
                let unusable = format!("unusable: {}", e.message());
                told.extend(looks.keys().map(|name| (name.clone(), unusable.clone())));
                return Ok(());
            }
        };
        for (name, text) in described {
            if let Some((place, look)) = looks.get(&name) {
                self.told.remember(place, WHAT, *look, text.clone());
                told.insert(name, text);
            }
        }
        Ok(())
    }

    /// A worker without a runtime, which may read these places.
    async fn look(
        &self,
        op: &'static str,
        work: impl FnOnce(BTreeMap<DatasetName, Located>) -> Work,
        looks: &Looks,
    ) -> Result<Reply, PortError> {
        let closed = |_| PortError::new(PortErrorKind::Internal, op, "the executor is closed");
        let _turn = self.looking.acquire().await.map_err(closed)?;
        let places = looks
            .iter()
            .map(|(name, (place, _))| (name.clone(), place.clone()));
        let places: BTreeMap<DatasetName, Located> = places.collect();
        let readable: Vec<PathBuf> = places.values().map(|place| place.path.clone()).collect();
        let job = Job::of(work(places));
        let setup = self.config.setup(RuntimeChoice::None, readable);
        let launcher = self.config.launcher();
        let (reply, _): (Reply, Blobs) = launcher.run(op, &setup, &job, Vec::new()).await?;
        Ok(reply)
    }
}

fn plain_type(kind: ColumnKind) -> Option<ColumnType> {
    match kind {
        ColumnKind::Empty => None,
        ColumnKind::Whole => Some(ColumnType::Integer),
        ColumnKind::Number => Some(ColumnType::Float),
        ColumnKind::Truth => Some(ColumnType::Boolean),
        ColumnKind::Date => Some(ColumnType::Date),
        ColumnKind::Text => Some(ColumnType::String),
    }
}

fn looks(places: BTreeMap<DatasetName, Located>) -> Looks {
    let of = |(name, place): (DatasetName, Located)| {
        let look = Told::look(&place);
        (name, (place, look))
    };
    places.into_iter().map(of).collect()
}
