//! What a connector may reach.

use super::origin::Origin;
use super::pattern::OriginPattern;
use std::collections::BTreeSet;

/// What a connector may reach. The default is nothing.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Origins that it may send requests to: those that its configuration asks for, by the connector's description.
    pub origins: BTreeSet<Origin>,
    /// Origins that the operator lets have a private address. They are not allowed by that alone: they must be in
    /// `origins` too.
    pub private: BTreeSet<Origin>,
    /// What the operator's lists hold: an origin must match one of each, those that the host itself asks for tokens too. No
    /// list permits all.
    pub within: Vec<Vec<OriginPattern>>,
}

impl Policy {
    /// Whether requests of the connector to the origin are allowed.
    pub fn allows(&self, origin: &Origin) -> bool {
        self.origins.contains(origin) && self.permits(origin)
    }

    /// Whether the operator's lists hold the origin.
    pub fn permits(&self, origin: &Origin) -> bool {
        self.within.iter().all(|list| list.iter().any(|pattern| pattern.matches(origin)))
    }

    /// Whether the origin may have an address that only this machine or its network reaches.
    pub fn allows_private(&self, origin: &Origin) -> bool {
        self.private.contains(origin)
    }
}
