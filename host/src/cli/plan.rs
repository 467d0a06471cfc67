//! What a run may do, before it does anything.

use super::report::table;
use crate::limits::{LIMITS, Limits};
use crate::policy::{Approved, Granted};
use crate::run::Run;
use crate::sandbox::ResourceDescription;
use serde_json::{Value, json};

/// A column that is never reached: all are texts.
const TEXTS: usize = 99;

/// For a person.
pub fn text(run: &Run, approved: &Approved) -> String {
    let mut origins = table(&["origin", "requests", "address"], TEXTS);
    for granted in &run.grant.origins {
        origins.add_row(vec![granted.origin.to_string(), requests(run, granted), address(granted).to_owned()]);
    }
    let mut secrets = table(&["secret", "goes to"], TEXTS);
    for (name, origins) in &run.grant.reach.secrets {
        let origins: Vec<&str> = origins.iter().map(String::as_str).collect();
        secrets.add_row(vec![name.clone(), or_none(&origins.join(", "))]);
    }
    for (pointer, origin) in &run.grant.reach.tokens {
        let origin = if origin.is_empty() { "what a secret names" } else { origin };
        secrets.add_row(vec![format!("{pointer}, for tokens"), origin.to_owned()]);
    }
    let mut resources = table(&["resource", "first requests", "how many"], TEXTS);
    for resource in run.description.resources.iter().filter(|resource| is_read(run, resource)) {
        let first =
            if resource.url.is_empty() { "none".to_owned() } else { format!("{} {}", resource.method, resource.url) };
        resources.add_row(vec![resource.name.clone(), first, first_requests(resource)]);
    }
    let operator = run.grant.operator();
    let changed: Vec<String> = (LIMITS.iter())
        .filter(|limit| limit.show(&operator.limits) != limit.show(&Limits::default()))
        .map(|limit| format!("{} {}", limit.name, limit.show(&operator.limits)))
        .collect();
    let changed = if changed.is_empty() { "as usual".to_owned() } else { changed.join(", ") };
    let proxy = operator
        .proxy
        .as_ref()
        .and_then(|proxy| Some(format!("proxy: {}:{}\n", proxy.host_str()?, proxy.port_or_known_default()?)));
    let approved = match approved {
        Approved::First if run.is_known() => "not yet; the first run approves".to_owned(),
        Approved::First => "no; `--approve` approves".to_owned(),
        Approved::Yes => "yes".to_owned(),
        Approved::Beyond(beyond) => {
            let lines: String = beyond.iter().map(|line| format!("\n  + {line}")).collect();
            format!("no, this is new:{lines}\n  `--approve` approves")
        }
    };
    format!(
        "{origins}\n\n{secrets}\n\n{resources}\n\nlimits: {changed} (`spile limits` lists all)\n{}component: sha256:{}\nreach: sha256:{}\napproved: {approved}\n",
        proxy.unwrap_or_default(),
        run.connector().digest(),
        run.grant.reach.digest(),
    )
}

/// As JSON.
pub fn json(run: &Run, approved: &Approved) -> String {
    let origins: Vec<Value> = (run.grant.origins.iter())
        .map(|granted| json!({"origin": granted.origin.to_string(), "private": granted.private, "denied": granted.denied}))
        .collect();
    let resources: Vec<Value> = (run.description.resources.iter())
        .filter(|resource| is_read(run, resource))
        .map(|resource| json!({"resource": resource.name, "method": resource.method, "url": resource.url, "per": resource.parent}))
        .collect();
    let operator = run.grant.operator();
    let limits: serde_json::Map<_, _> =
        LIMITS.iter().map(|limit| (limit.name.to_owned(), limit.show(&operator.limits).into())).collect();
    let (approved, beyond) = match approved {
        Approved::First => (Value::Null, &[][..]),
        Approved::Yes => (true.into(), &[][..]),
        Approved::Beyond(beyond) => (false.into(), beyond.as_slice()),
    };
    let whole = json!({"origins": origins, "secrets": run.grant.reach.secrets, "tokens": run.grant.reach.tokens,
        "resources": resources, "limits": limits, "component": format!("sha256:{}", run.connector().digest()),
        "reach": format!("sha256:{}", run.grant.reach.digest()), "approved": approved, "new": beyond});
    format!("{whole:#}\n")
}

/// The limits, each with its name and what it is a limit on.
pub fn limits(limits: &Limits, as_json: bool) -> String {
    if as_json {
        let all: Vec<Value> = (LIMITS.iter())
            .map(|limit| json!({"name": limit.name, "default": limit.show(limits), "on": limit.on}))
            .collect();
        return format!("{:#}\n", Value::Array(all));
    }
    let mut shown = table(&["limit", "default", "on"], TEXTS);
    for limit in LIMITS {
        shown.add_row(vec![limit.name.to_owned(), limit.show(limits), limit.on.to_owned()]);
    }
    format!("{shown}\n\nset one with `--limit NAME=VALUE`, or with `limits: {{NAME: VALUE}}` in a policy\n")
}

/// Who sends requests to an origin, or why nobody does.
fn requests(run: &Run, granted: &Granted) -> String {
    let origin = granted.origin.to_string();
    match &granted.denied {
        Some(why) => format!("denied: {why}"),
        None if run.grant.reach.origins.contains(&origin) => "of the connector".to_owned(),
        None => "of the host, for tokens".to_owned(),
    }
}

fn address(granted: &Granted) -> &'static str {
    if granted.private { "any, a private one too" } else { "public ones only" }
}

/// Whether a resource makes requests: it is selected, or one that is depends on it.
fn is_read(run: &Run, resource: &ResourceDescription) -> bool {
    fn reads(all: &[ResourceDescription], resource: &ResourceDescription, depth: usize) -> bool {
        let mut children = all.iter().filter(|child| child.parent.as_deref() == Some(&resource.name));
        // Parents are no circle in our connector; in one of someone else's they could be.
        resource.selected || (depth < all.len() && children.any(|child| reads(all, child, depth + 1)))
    }
    reads(&run.description.resources, resource, 0)
}

/// How many requests a resource begins with, as far as that is known before any record is.
fn first_requests(resource: &ResourceDescription) -> String {
    match (&resource.parent, resource.url.as_str()) {
        (_, "") => "0".to_owned(),
        (None, _) => "1".to_owned(),
        (Some(parent), _) => format!("1 for each record of {parent}"),
    }
}

fn or_none(text: &str) -> String {
    if text.is_empty() { "nowhere".to_owned() } else { text.to_owned() }
}
