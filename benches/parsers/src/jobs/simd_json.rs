//! simd-json: a tape, written while the texts of the page lose their escapes in place.

use crate::Columns;
use simd_json::{Node, StaticNode, to_tape};
use std::slice::Iter;

pub(super) fn tape(page: &mut [u8], columns: &mut Columns) -> Option<u64> {
    let tape = to_tape(page).ok()?;
    let mut nodes = tape.0.iter();
    let Some(Node::Object { len, .. }) = nodes.next() else { return None };
    let mut records = 0;
    for _ in 0..*len {
        let is_data = matches!(nodes.next(), Some(Node::String("data")));
        match nodes.next()? {
            Node::Array { len, .. } if is_data => {
                for _ in 0..*len {
                    value(&mut nodes, columns)?;
                }
                records = *len as u64;
            }
            Node::Array { count, .. } | Node::Object { count, .. } if *count > 0 => drop(nodes.nth(*count - 1)),
            _ => {}
        }
    }
    Some(records)
}

fn value(nodes: &mut Iter<'_, Node<'_>>, columns: &mut Columns) -> Option<()> {
    match nodes.next()? {
        Node::String(text) => columns.text(text),
        Node::Static(StaticNode::Null) => columns.null(),
        Node::Static(StaticNode::Bool(boolean)) => columns.boolean(*boolean),
        Node::Static(StaticNode::I64(integer)) => columns.integer(*integer),
        Node::Static(StaticNode::U64(integer)) => match i64::try_from(*integer) {
            Ok(integer) => columns.integer(integer),
            Err(_) => columns.double(*integer as f64),
        },
        Node::Static(StaticNode::F64(double)) => columns.double(*double),
        Node::Array { len, .. } => {
            columns.begin_list();
            for _ in 0..*len {
                value(nodes, columns)?;
            }
            columns.end();
        }
        Node::Object { len, .. } => {
            columns.begin_object();
            for _ in 0..*len {
                let Some(Node::String(key)) = nodes.next() else { return None };
                columns.key(key);
                value(nodes, columns)?;
            }
            columns.end();
        }
    }
    Some(())
}
