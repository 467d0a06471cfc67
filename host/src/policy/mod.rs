//! What a source may do: what its operator permits, what it asks for, and what was approved of that.
//!
//! A source asks for origins and secrets by the connector's description of it; that is its [`Reach`]. An operator cuts it
//! ([`Operator`]): by `policy:` in the pipeline, by flags, and by a policy for the whole host that neither can widen. What is
//! left is the [`Grant`]; the gate keeps it. A reach that grows, by a new version of a connector or a change of the
//! configuration, is refused until a person approves of it ([`Approvals`]).

mod approvals;
mod file;
mod grant;
mod operator;

pub use approvals::{Approvals, Approved};
pub use file::PolicyFile;
pub use grant::{Grant, Granted, Reach};
pub use operator::Operator;
