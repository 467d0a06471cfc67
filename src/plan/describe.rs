//! What a plan asks for: the contract's `describe`.

use super::template::{self, Part};
use super::{Plan, Resource};
use crate::disposition::WriteDisposition;
use crate::error::Error;
use crate::request::origin;
use crate::shape::naming;
use crate::slot;
use std::collections::{BTreeMap, BTreeSet};
use url::Url;

/// See `description` in the WIT.
pub struct Description {
    /// The resources, in the order of the configuration.
    pub resources: Vec<ResourceDescription>,
    /// Every origin that requests can go to, sorted.
    pub origins: Vec<String>,
    /// The secrets.
    pub slots: Vec<Slot>,
    /// Things that are better said otherwise.
    pub warnings: Vec<Error>,
}

/// See `resource-description` in the WIT.
#[allow(missing_docs)]
pub struct ResourceDescription {
    pub name: String,
    pub table: String,
    pub parent: Option<String>,
    pub primary_key: Vec<String>,
    pub write_disposition: WriteDisposition,
    pub method: String,
    pub url: String,
    pub selected: bool,
    pub unbound: Vec<String>,
    pub cursor: Option<String>,
}

/// A secret, and where it may go.
pub struct Slot {
    /// Its name; of a credential that the host holds, the JSON pointer of its `auth` object.
    pub name: String,
    /// Origins.
    pub origins: Vec<String>,
}

impl Plan {
    /// Every origin that requests go to, those for tokens too.
    pub fn origins(&self) -> BTreeSet<String> {
        let of_tokens = self.tokens.iter().filter_map(|token| token.origin.clone());
        self.resources.iter().filter_map(Resource::origin).chain(of_tokens).collect()
    }

    /// What the source asks for.
    pub fn describe(self) -> Description {
        let mut slots: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for resource in &self.resources {
            let Some(origin) = resource.origin() else { continue };
            for slot in resource.slots() {
                slots.entry(slot).or_default().insert(origin.clone());
            }
        }
        // Where no host signs, the connector asks for tokens itself; what it asks with goes nowhere else.
        for token in &self.tokens {
            for slot in token.auth.slots() {
                slots.entry(slot).or_default().extend(token.origin.clone());
            }
        }
        let origins = self.origins();
        let name_of = |index: usize| self.resources.get(index).map(|parent| parent.name.clone());
        let resources = self.resources.iter().map(|resource| ResourceDescription {
            name: resource.name.clone(),
            table: resource.target.table.clone(),
            parent: resource.parent.and_then(name_of),
            primary_key: resource.primary_key.iter().map(|key| naming::path(key)).collect(),
            write_disposition: resource.target.write_disposition.clone(),
            method: if resource.seeds.is_some() { String::new() } else { resource.method.as_str().to_owned() },
            url: template::shown(&resource.url),
            selected: resource.selected,
            unbound: resource.unbound.iter().map(|(name, _)| name.clone()).collect(),
            cursor: resource.incremental.as_ref().map(|rules| rules.path.clone()),
        });
        Description {
            resources: resources.collect(),
            origins: origins.into_iter().collect(),
            slots: slots
                .into_iter()
                .map(|(name, origins)| Slot { name, origins: origins.into_iter().collect() })
                .collect(),
            warnings: self.warnings,
        }
    }
}

impl Resource {
    /// The origin of its requests. It cannot depend on a placeholder, so the start of the URL tells it.
    pub(super) fn origin(&self) -> Option<String> {
        match self.url.first() {
            Some(Part::Text(start)) => origin(&Url::parse(start).ok()?),
            _ => None,
        }
    }

    fn slots(&self) -> Vec<String> {
        let mut slots = match &self.auth {
            Some(crate::auth::Auth::Brokered { credential, .. }) => vec![credential.clone()],
            Some(auth) if self.token.is_none() => auth.slots().into_iter().collect(),
            _ => Vec::new(),
        };
        for part in self.parts() {
            match part {
                Part::Secret(name) => slots.push(name.clone()),
                Part::Text(text) => slots.extend(slot::stand_ins(text).map(|(_, name)| name)),
                Part::Variable(_) | Part::Field(_) | Part::Incremental(_) => {}
            }
        }
        slots
    }
}
