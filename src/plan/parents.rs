//! Which resource is the parent of which, and what it gives to its children.

use super::template::Field;
use super::{Include, NeededField, Resource};
use crate::config::model::{OnMissing, TooManyParents};
use crate::error::{Error, Result};
use crate::incremental::Incremental;
use crate::select::Selector;
use crate::shape::naming::SEPARATOR;
use serde_json::Value;
use std::collections::BTreeSet;

/// Finds each resource's parent: of the resources whose fields it uses, the one that all others are ancestors of.
pub fn find(resources: &mut [Resource]) -> Result<()> {
    let mut used: Vec<BTreeSet<usize>> = Vec::new();
    for resource in resources.iter() {
        let mut of_this = BTreeSet::new();
        for field in resource.fields() {
            let found = resources.iter().position(|other| other.name == field.resource);
            of_this.insert(found.ok_or_else(|| unknown_parent(resource, field, resources))?);
        }
        used.push(of_this);
    }
    let ancestors: Vec<BTreeSet<usize>> = (0..resources.len()).map(|index| reachable(index, &used)).collect();
    let of = |index: usize| ancestors.get(index).into_iter().flatten();
    let mut parents = Vec::new();
    for (index, resource) in resources.iter().enumerate() {
        let names = |indices: &BTreeSet<usize>| {
            let names =
                indices.iter().filter_map(|index| resources.get(*index)).map(|parent| format!("`{}`", parent.name));
            names.collect::<Vec<_>>().join(", ")
        };
        let direct = used.get(index).cloned().unwrap_or_default();
        if of(index).any(|ancestor| *ancestor == index) {
            let message = format!("`{}` depends on itself, through {}", resource.name, names(&direct));
            return Err(Error::config(
                resource.fields().map(|field| resource.place_of(field)).next().unwrap_or_default(),
                message,
            )
            .of(&resource.name)
            .advice("a resource reads the fields of one that is read before it; leave one of these placeholders out"));
        }
        let parent = direct
            .iter()
            .copied()
            .find(|parent| direct.iter().all(|other| other == parent || of(*parent).any(|ancestor| ancestor == other)));
        if parent.is_none() && !direct.is_empty() {
            let message =
                format!("`{}` uses fields of {}, which do not depend on each other", resource.name, names(&direct));
            return Err(Error::config(
                resource.fields().map(|field| resource.place_of(field)).last().unwrap_or_default(),
                message,
            )
            .of(&resource.name)
            .advice("a resource has one parent; fields of that parent's own parents can be used as well"));
        }
        parents.push(parent);
    }
    for (index, parent) in parents.into_iter().enumerate() {
        if let Some(resource) = resources.get_mut(index) {
            resource.parent = parent;
        }
        if let Some(parent) = parent.and_then(|parent| resources.get_mut(parent)) {
            parent.children.push(index);
        }
    }
    for index in 0..resources.len() {
        include(resources, index)?;
        batch(resources, index)?;
        need(resources, index)?;
        show(resources, index)?;
    }
    Ok(())
}

/// Finds the keys and the fields of what a resource's records get from their parent's.
fn include(resources: &mut [Resource], index: usize) -> Result<()> {
    let name_of = |index: usize| resources.get(index).map(|resource| resource.name.clone());
    let parent = resources.get(index).and_then(|resource| resource.parent).and_then(name_of);
    let Some(resource) = resources.get_mut(index) else { return Ok(()) };
    let place = format!("{}/include_from_parent", resource.pointer);
    match (resource.include_from_parent.is_empty(), parent) {
        (true, _) => Ok(()),
        (false, None) => Err(Error::config(place, format!("`{}` depends on no other resource", resource.name))
            .of(&resource.name)
            .advice("use a field of the parent in its requests, such as `{resources.parent.id}`")),
        (false, Some(_)) if resource.batch.is_some() => {
            let message = "a record does not tell which of several parents it belongs to";
            let advice = "leave out `include_from_parent` or `parents_per_request`";
            Err(Error::config(place, message).of(&resource.name).advice(advice))
        }
        (false, Some(parent)) => {
            for path in &resource.include_from_parent {
                let field = Field { resource: parent.clone(), path: path.clone() };
                let key = format!("_{parent}_{}", path.replace('.', SEPARATOR).replace('[', "_").replace(']', ""));
                resource.includes.push(Include { field, key });
            }
            Ok(())
        }
    }
}

/// Completes what is known of requests for several records, and refuses what such records cannot give.
fn batch(resources: &mut [Resource], index: usize) -> Result<()> {
    let name_of = |index: usize| resources.get(index).map(|resource| resource.name.clone());
    let parent = resources.get(index).and_then(|resource| resource.parent).and_then(name_of);
    let Some(resource) = resources.get_mut(index) else { return Ok(()) };
    if let Some(batch) = &mut resource.batch {
        let place = format!("{}/endpoint/parents_per_request", resource.pointer);
        batch.parent = parent.ok_or_else(|| {
            Error::config(place, format!("`{}` depends on no other resource", resource.name))
                .of(&resource.name)
                .advice("use a field of the parent in its requests, such as `ids: \"{resources.parent.id}\"`")
        })?;
    }
    let Some(resource) = resources.get(index) else { return Ok(()) };
    let needs_one = |rules: &&Incremental| rules.on_too_many_parents == TooManyParents::Fail;
    if let Some(rules) = resource.incremental.as_ref().filter(|rules| resource.is_batched() && needs_one(rules)) {
        return Err(Error::config(
            &rules.pointer,
            "a cursor is kept for each parent, and a request is for several of them",
        )
        .of(&resource.name)
        .advice("keep one for all with `on_too_many_parents: one_cursor`, or leave out `parents_per_request`"));
    }
    // Between a resource and the one whose field it uses each record must have one parent.
    let mut between = resource.parent.and_then(|parent| resources.get(parent));
    while let Some(ancestor) = between {
        let of_several = ancestor.batch.as_ref().map(|batch| &batch.parent);
        if let Some(field) = resource.fields().find(|field| Some(&field.resource) == of_several) {
            let message = format!(
                "`{field}` is used, and the requests of `{}` are for several records of `{}` each",
                ancestor.name, field.resource
            );
            return Err(Error::config(resource.place_of(field), message)
                .of(&resource.name)
                .advice(format!("use a field of `{}`, or leave out its `parents_per_request`", ancestor.name)));
        }
        between = ancestor.parent.and_then(|parent| resources.get(parent));
    }
    Ok(())
}

/// Notes with the resources whose fields a resource uses that it does.
fn need(resources: &mut [Resource], index: usize) -> Result<()> {
    let Some(resource) = resources.get(index) else { return Ok(()) };
    let (name, is_required) = (resource.name.clone(), resource.on_missing == OnMissing::Fail);
    let of_requests = resource.fields().map(|field| (field.clone(), resource.place_of(field)));
    let of_records = resource
        .includes
        .iter()
        .enumerate()
        .map(|(nth, include)| (include.field.clone(), format!("{}/include_from_parent/{nth}", resource.pointer)));
    for (field, place) in of_requests.chain(of_records).collect::<Vec<_>>() {
        let Some(owner) = resources.iter_mut().find(|owner| owner.name == field.resource) else { continue };
        let at = owner.needed.iter().position(|needed| needed.field == field).unwrap_or(owner.needed.len());
        if at == owner.needed.len() {
            let selector = Selector::parse(&field.path, &place).map_err(|error| error.of(&name))?;
            owner.needed.push(NeededField { field: field.clone(), selector, required_by: Vec::new() });
        }
        let Some(needed) = owner.needed.get_mut(at).filter(|_| is_required) else { continue };
        needed.required_by.push(index);
        // What stands in the file is told before a run.
        let records = owner.seeds.iter().flat_map(|seeds| (0..).map_while(|place| seeds.record(place)));
        let lacks = |record: &Value| needed.selector.first(record).is_none_or(Value::is_null);
        if let Some(record) = records.into_iter().find(lacks) {
            let message = format!("a record of `{}` has no `{}`: {record}", owner.name, field.path);
            return Err(Error::config(place, message)
                .of(&name)
                .advice("what is no object in `values` is the field `value`; `on_missing` may be `skip` or `null`"));
        }
    }
    Ok(())
}

/// Notes with the parent which of its fields the expressions of a resource name.
fn show(resources: &mut [Resource], index: usize) -> Result<()> {
    let Some(resource) = resources.get(index) else { return Ok(()) };
    let (name, parent, is_batched) = (resource.name.clone(), resource.parent, resource.is_batched());
    for (pointer, keys) in resource.steps.fields_of_parent() {
        let refused = |message: &str, advice: &str| Err(Error::config(&pointer, message).of(&name).advice(advice));
        let Some(keys) = keys else {
            let message = "the expression uses `parent` as a whole, and only the fields that it names are kept";
            return refused(message, "name the field: `parent.id`");
        };
        let Some(owner) = parent.and_then(|parent| resources.get_mut(parent)) else {
            let message = format!("the expression uses `parent`, and `{name}` depends on no other resource");
            let advice = "leave `parent` out, or use a field of a parent in the path: `{resources.parent.id}`";
            return refused(&message, advice);
        };
        if is_batched {
            let message =
                "the expression uses `parent`, and a record does not tell which of several parents it belongs to";
            return refused(message, "leave out `parent` or `parents_per_request`");
        }
        let field = Field { resource: owner.name.clone(), path: keys.join(".") };
        if owner.needed.iter().all(|needed| needed.field != field) {
            let selector = Selector::of_keys(keys);
            owner.needed.push(NeededField { field: field.clone(), selector, required_by: Vec::new() });
        }
        if !owner.shown.contains(&field) {
            owner.shown.push(field);
        }
    }
    Ok(())
}

fn unknown_parent(resource: &Resource, field: &Field, resources: &[Resource]) -> Error {
    let names = resources.iter().map(|resource| resource.name.as_str());
    let advice = match crate::config::nearest(&field.resource, names.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the resources are {}", names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
    };
    let message = format!("there is no resource `{}`, whose field `{}` is used", field.resource, field.path);
    Error::config(resource.place_of(field), message).of(&resource.name).advice(advice)
}

fn reachable(from: usize, used: &[BTreeSet<usize>]) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut open: Vec<usize> = used.get(from).into_iter().flatten().copied().collect();
    while let Some(index) = open.pop() {
        if found.insert(index) {
            open.extend(used.get(index).into_iter().flatten());
        }
    }
    found
}
