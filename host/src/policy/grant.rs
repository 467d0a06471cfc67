//! What a source asks for, and what it gets.

use super::Operator;
use crate::digest::sha256;
use crate::gate::{Origin, Policy};
use crate::sandbox::Description;
use crate::{Class, Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Ports of other protocols than HTTP: a request to one could be taken for something else by what listens there. The list is
/// that of the Fetch standard ("bad ports"), which browsers follow.
const FOREIGN_PORTS: [u16; 82] = [
    1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110,
    111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532,
    540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061,
    6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
];

/// What a source asks for: where it may go, and which secrets it takes there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reach {
    /// Origins that the connector sends requests to.
    pub origins: BTreeSet<String>,
    /// The origins that each secret is sent to: by the JSON pointer of the `auth` object, or the secret's name.
    pub secrets: BTreeMap<String, BTreeSet<String>>,
    /// Where the host obtains tokens, by the JSON pointer of the `auth` object; empty where a secret names it.
    pub tokens: BTreeMap<String, String>,
}

impl Reach {
    /// SHA-256 of its JSON, in hexadecimal digits.
    pub fn digest(&self) -> String {
        sha256(serde_json::to_string(self).unwrap_or_default())
    }

    /// What it has and the other one does not, a line for each. Origins that the operator names are left out: they need no
    /// further word.
    pub fn beyond(&self, other: &Self, operator: &Operator) -> Vec<String> {
        let is_named = |origin: &str| origin.parse().is_ok_and(|origin| operator.names(&origin));
        let origins = self.origins.difference(&other.origins).filter(|origin| !is_named(origin));
        let mut beyond: Vec<String> = origins.map(|origin| format!("requests to {origin}")).collect();
        for (secret, origins) in &self.secrets {
            let known = other.secrets.get(secret);
            let new = origins
                .iter()
                .filter(|origin| !known.is_some_and(|known| known.contains(*origin)) && !is_named(origin));
            beyond.extend(new.map(|origin| format!("the secret of {secret} to {origin}")));
        }
        for (pointer, origin) in &self.tokens {
            if other.tokens.get(pointer) != Some(origin) && !is_named(origin) {
                let origin = if origin.is_empty() { "what a secret names" } else { origin };
                beyond.push(format!("tokens of {pointer} from {origin}"));
            }
        }
        beyond
    }
}

/// An origin that a source asks for.
#[derive(Clone, Debug)]
pub struct Granted {
    /// The origin.
    pub origin: Origin,
    /// Whether it may have a private address.
    pub private: bool,
    /// Why no request is sent to it, if that is so.
    pub denied: Option<String>,
}

/// What a source asks for, and what its operator leaves of it.
#[derive(Clone, Debug)]
pub struct Grant {
    /// What it asks for.
    pub reach: Reach,
    /// Every origin of it, those of tokens too.
    pub origins: Vec<Granted>,
    operator: Operator,
}

impl Grant {
    /// What is granted to a source of this description, whose tokens the host obtains from these origins.
    pub fn new(description: &Description, tokens: &[(&str, Option<String>)], operator: &Operator) -> Result<Self> {
        let secrets = description.slots.iter().map(|slot| (slot.name.clone(), slot.origins.iter().cloned().collect()));
        let tokens = tokens.iter().map(|(pointer, origin)| ((*pointer).to_owned(), origin.clone().unwrap_or_default()));
        let reach = Reach {
            origins: description.origins.iter().cloned().collect(),
            secrets: secrets.collect(),
            tokens: tokens.collect(),
        };
        let asked = reach.origins.iter().chain(reach.tokens.values().filter(|origin| !origin.is_empty()));
        let asked: BTreeSet<Origin> = asked.map(|origin| origin.parse()).collect::<Result<_>>()?;
        let lists = Policy { within: operator.within.clone(), ..Policy::default() };
        let granted = |origin: Origin| {
            let denied = if !lists.permits(&origin) {
                Some("the policy does not name it".to_owned())
            } else if FOREIGN_PORTS.contains(&origin.port()) && !operator.names(&origin) {
                Some(format!(
                    "port {} is of another protocol; name the origin in the policy if it is right",
                    origin.port()
                ))
            } else {
                None
            };
            Granted { private: operator.is_private(&origin), denied, origin }
        };
        Ok(Self { origins: asked.into_iter().map(granted).collect(), reach, operator: operator.clone() })
    }

    /// What the gate lets through.
    pub fn policy(&self) -> Policy {
        let granted = self.origins.iter().filter(|granted| granted.denied.is_none());
        let own = granted.clone().filter(|granted| self.reach.origins.contains(&granted.origin.to_string()));
        Policy {
            origins: own.map(|granted| granted.origin.clone()).collect(),
            private: granted.filter(|granted| granted.private).map(|granted| granted.origin.clone()).collect(),
            within: self.operator.within.clone(),
        }
    }

    /// What the operator permits.
    pub fn operator(&self) -> &Operator {
        &self.operator
    }

    /// Fails where a request to this URL is denied from the outset.
    pub fn check_url(&self, resource: &str, url: &str) -> Result<()> {
        let own = Origin::of_template(url);
        let is_own = |granted: &&Granted| granted.denied.is_some() && own.as_ref() == Some(&granted.origin);
        let denied = self.origins.iter().find(is_own);
        match denied.and_then(|granted| Some((granted, granted.denied.as_ref()?))) {
            None => Ok(()),
            Some((granted, why)) => {
                Err(Error::new(Class::Policy, "the policy does not permit what the source asks for")
                    .fact("resource", resource)
                    .fact("origin", &granted.origin)
                    .fact("why", why)
                    .advice("`spile plan` shows what the source asks for; `origins` of a policy is what it gets"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::Slot;

    fn description(origins: &[&str]) -> Description {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let slots = vec![Slot { name: "/client/auth".to_owned(), origins: owned(origins) }];
        Description { resources: Vec::new(), origins: owned(origins), slots, warnings: Vec::new() }
    }

    fn grant(origins: &[&str], operator: &Operator) -> Grant {
        Grant::new(&description(origins), &[("/client/auth", Some("https://login.example:443".to_owned()))], operator)
            .unwrap()
    }

    #[test]
    fn an_operator_cuts_what_a_source_asks_for() {
        let within = vec![vec!["https://a.example".parse().unwrap()]];
        let grant =
            grant(&["https://a.example:443", "https://b.example:443"], &Operator { within, ..Operator::default() });
        let denied: Vec<_> = grant.origins.iter().map(|granted| granted.denied.is_some()).collect();
        assert_eq!(denied, [false, true, true]);
        let policy = grant.policy();
        assert_eq!(policy.origins, ["https://a.example".parse().unwrap()].into());
        assert!(!policy.permits(&"https://login.example".parse().unwrap()));
        assert!(grant.check_url("r", "https://a.example/x/{id}").is_ok());
        let error = grant.check_url("r", "https://b.example/x/{id}").unwrap_err();
        assert_eq!((error.class, &error.facts[1]), (Class::Policy, &("origin", "https://b.example:443".to_owned())));
    }

    #[test]
    fn ports_of_other_protocols_are_denied_until_they_are_named() {
        let mut operator = Operator::default();
        let origins = ["https://a.example:25", "http://a.example:8080"];
        assert_eq!(grant(&origins, &operator).policy().origins, ["http://a.example:8080".parse().unwrap()].into());
        operator.within.push(vec!["https://a.example:*".parse().unwrap()]);
        assert_eq!(grant(&origins[..1], &operator).policy().origins, ["https://a.example:25".parse().unwrap()].into());
    }

    #[test]
    fn what_is_new_is_told_and_what_is_gone_is_not() {
        let (all, one) = (["https://a.example:443", "https://b.example:443"], ["https://a.example:443"]);
        let operator = Operator::default();
        let reach = |origins: &[&str]| grant(origins, &operator).reach;
        assert_eq!(reach(&one).beyond(&reach(&all), &operator), Vec::<String>::new());
        let beyond = reach(&all).beyond(&reach(&one), &operator);
        assert_eq!(
            beyond,
            ["requests to https://b.example:443", "the secret of /client/auth to https://b.example:443"]
        );
        let beyond = Reach { tokens: [("/a".to_owned(), String::new())].into(), ..Reach::default() };
        assert_eq!(beyond.beyond(&reach(&one), &operator), ["tokens of /a from what a secret names"]);
        let named = Operator { within: vec![vec!["https://b.example".parse().unwrap()]], ..Operator::default() };
        assert_eq!(reach(&all).beyond(&reach(&one), &named), Vec::<String>::new());
        assert_ne!(reach(&all).digest(), reach(&one).digest());
    }
}
