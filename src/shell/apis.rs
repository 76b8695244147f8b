//! Which of the optional kinds the API server serves, and in which version.
//!
//! Discovery says what is served, and the cluster's `CustomResourceDefinitions` when to ask it: only their metadata is watched.

use super::kinds::{Row, optional, row};
use crate::core::kind::ChildKind;
use kube::Client;
use kube::core::ApiResource;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// What is known of the optional kinds, cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Apis(Arc<(Mutex<Known>, Notify)>);

#[derive(Debug, Default)]
struct Known {
    versions: BTreeMap<ChildKind, &'static str>,
    /// The definitions of optional kinds that were seen, and whether they stand. One that does not is going, or has gone.
    definitions: BTreeMap<String, bool>,
    sight: Sight,
}

/// Whether the cluster's definitions are seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sight {
    /// Not yet.
    #[default]
    Unlisted,
    /// They can't be.
    Hidden,
    Listed,
}

impl Apis {
    /// How the API server addresses a kind: in the version that is used, or else the one that is liked best.
    pub fn resource(&self, kind: ChildKind) -> ApiResource {
        let row = row(kind);
        row.api_resource(self.version(kind).unwrap_or(row.versions[0]))
    }

    /// The version of an optional kind that is served and used.
    pub fn version(&self, kind: ChildKind) -> Option<&'static str> {
        self.lock().versions.get(&kind).copied()
    }

    /// Takes in that a definition stands, or that it is going or gone.
    pub fn define(&self, name: &str, stands: bool) {
        if optional().any(|row| row.definition() == name) {
            let mut known = self.lock();
            known.definitions.insert(name.to_owned(), stands);
            if known.sight == Sight::Listed {
                self.ask();
            }
        }
    }

    /// A list of the definitions is complete and has shown these.
    pub fn listed(&self, is_shown: impl Fn(&str) -> bool) {
        let mut known = self.lock();
        known.definitions.retain(|name, _| is_shown(name));
        known.sight = Sight::Listed;
        self.ask();
    }

    /// The definitions could not be listed; `denied` says whether they may not be.
    pub fn unlisted(&self, denied: bool) {
        let mut known = self.lock();
        if known.sight == Sight::Unlisted {
            self.ask();
        }
        if known.sight == Sight::Unlisted || denied {
            known.sight = Sight::Hidden;
        }
    }

    /// Has discovery asked again.
    pub fn ask(&self) {
        self.0.1.notify_one();
    }

    /// Waits until discovery is to be asked again.
    pub async fn news(&self) {
        self.0.1.notified().await;
    }

    /// Whether the definition of a kind stands; `None` where none is seen.
    pub fn stands(&self, row: &Row) -> Option<bool> {
        let known = self.lock();
        known.definitions.get(&row.definition()).copied().filter(|_| known.sight == Sight::Listed)
    }

    /// Uses a version of a kind from now on.
    pub fn use_version(&self, kind: ChildKind, version: Option<&'static str>) {
        let versions = &mut self.lock().versions;
        match version {
            Some(version) => versions.insert(kind, version),
            None => versions.remove(&kind),
        };
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which of these kinds the API server serves: the first of its versions that is served.
///
/// # Errors
/// An answer other than that a group is not served, or none.
pub async fn discover<'a>(
    client: &Client,
    rows: impl IntoIterator<Item = &'a Row>,
) -> Result<BTreeMap<ChildKind, &'static str>, kube::Error> {
    let (mut served, mut asked) = (BTreeMap::new(), BTreeMap::new());
    for row in rows {
        for version in row.versions {
            let api = format!("{}/{version}", row.group);
            if !asked.contains_key(&api) {
                asked.insert(api.clone(), plurals(client, &api).await?);
            }
            if asked[&api].iter().any(|plural| plural == row.plural) {
                served.insert(row.kind, *version);
                break;
            }
        }
    }
    Ok(served)
}

async fn plurals(client: &Client, api: &str) -> Result<Vec<String>, kube::Error> {
    match client.list_api_group_resources(api).await {
        Ok(list) => Ok(list.resources.into_iter().map(|resource| resource.name).collect()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
