//! What a person approved of, from run to run.

use super::{Grant, Reach};
use crate::digest::sha256;
use crate::{Class, Error, Result, folders};
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// The reach of each pipeline that was approved, in files of the user, one for each pipeline file.
///
/// What a pipeline asks for when it is run for the first time counts as approved: a person has just written or chosen it. What
/// it asks for beyond that later does not.
#[derive(Clone, Debug)]
pub struct Approvals {
    folder: PathBuf,
}

/// A file of it.
#[derive(Serialize, Deserialize)]
struct Record {
    /// Of which pipeline, for a person who looks into the file.
    pipeline: String,
    digest: String,
    reach: Reach,
}

/// How a grant stands to what was approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Approved {
    /// Nothing was approved before.
    First,
    /// It asks for no more than what was approved.
    Yes,
    /// It asks for more, as told.
    Beyond(Vec<String>),
}

impl Approvals {
    /// In the user's state folder (`$XDG_STATE_HOME`, else `~/.local/state`). None where the user has none.
    pub fn of_user() -> Option<Self> {
        Some(Self::in_folder(folders::state()?.join("approved")))
    }

    /// In this folder, which is made where it is missing.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// How what a pipeline file asks for stands to what was approved of it.
    pub fn look(&self, pipeline: &Path, grant: &Grant) -> Result<Approved> {
        let file = self.file(pipeline);
        let record = match fs::read(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Approved::First),
            read => read.map_err(|error| failed("read", &file, &error))?,
        };
        let record: Record = serde_json::from_slice(&record).map_err(|error| failed("read", &file, &error.into()))?;
        let beyond = grant.reach.beyond(&record.reach, grant.operator());
        Ok(if beyond.is_empty() { Approved::Yes } else { Approved::Beyond(beyond) })
    }

    /// Approves of what a pipeline file asks for, in the place of what was approved of it before.
    pub fn approve(&self, pipeline: &Path, grant: &Grant) -> Result<()> {
        let file = self.file(pipeline);
        let (pipeline, reach) = (pipeline.display().to_string(), grant.reach.clone());
        let record = Record { pipeline, digest: reach.digest(), reach };
        let save = || {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
            fs::set_permissions(&self.folder, Permissions::from_mode(0o700))?;
            let mut temporary = NamedTempFile::new_in(&self.folder)?;
            temporary.write_all(&serde_json::to_vec_pretty(&record)?)?;
            temporary.persist(&file)?;
            Ok(())
        };
        save().map_err(|error: io::Error| failed("save", &file, &error))
    }

    /// Fails where a grant asks for more than what was approved. `approve` approves of it. What is asked for at first counts as
    /// approved where `is_known` says that the component is the program's own, or one that the policy pins: what another one
    /// asks for, a person has not seen in the file.
    pub fn require(&self, pipeline: &Path, grant: &Grant, is_known: bool, approve: bool) -> Result<()> {
        if approve {
            return self.approve(pipeline, grant);
        }
        match self.look(pipeline, grant)? {
            Approved::Yes => Ok(()),
            Approved::First => {
                let beyond = grant.reach.beyond(&Reach::default(), grant.operator());
                if !is_known && !beyond.is_empty() {
                    return Err(listed("nothing was approved yet of what this component asks for", &beyond));
                }
                // Where it cannot be kept, each run is a first one: a machine that forgets has nothing to compare with.
                let _not_kept = self.approve(pipeline, grant);
                Ok(())
            }
            Approved::Beyond(beyond) => Err(listed("the source asks for more than was approved", &beyond)),
        }
    }

    fn file(&self, pipeline: &Path) -> PathBuf {
        let whole = fs::canonicalize(pipeline).unwrap_or_else(|_| pipeline.to_owned());
        self.folder.join(sha256(whole.as_os_str().as_bytes()) + ".json")
    }
}

/// The error for what was not approved.
fn listed(message: &str, beyond: &[String]) -> Error {
    let error = Error::new(Class::Policy, message);
    beyond.iter().fold(error, |error, line| error.fact("new", line)).advice(
        "if that is right, approve of it: run it again with `--approve`; `spile plan` shows all that it asks for",
    )
}

fn failed(action: &str, file: &Path, error: &io::Error) -> Error {
    Error::new(Class::Config, format!("failed to {action} what was approved: {error}"))
        .fact("file", file.display())
        .advice("the folder is $XDG_STATE_HOME/spile/approved, else ~/.local/state/spile/approved")
}

impl Grant {
    /// Fails where the policy names the digest of another reach.
    pub fn check_approved(&self) -> Result<()> {
        let digest = self.reach.digest();
        match &self.operator().approved {
            Some(approved) if **approved != *digest => {
                Err(Error::new(Class::Policy, "the source does not ask for what the policy says was approved")
                    .fact("approved", format_args!("sha256:{approved}"))
                    .fact("asked for", format_args!("sha256:{digest}"))
                    .advice("see `spile plan`; if it is right, write its digest as `approved` of the policy"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Operator;
    use crate::sandbox::Description;

    fn grant(origins: &[&str], operator: &Operator) -> Grant {
        let origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
        let description = Description { resources: Vec::new(), origins, slots: Vec::new(), warnings: Vec::new() };
        Grant::new(&description, &[], operator).unwrap()
    }

    #[test]
    fn what_is_asked_for_later_is_refused_until_it_is_approved() {
        let folder = tempfile::tempdir().unwrap();
        let approvals = Approvals::in_folder(folder.path().join("a/approved"));
        let (file, operator) = (folder.path().join("shop.yaml"), Operator::default());
        let one = grant(&["https://a.example:443"], &operator);
        let two = grant(&["https://a.example:443", "https://b.example:443"], &operator);
        assert_eq!(approvals.look(&file, &one).unwrap(), Approved::First);
        assert_eq!(
            approvals.require(&file, &one, false, false).unwrap_err().facts[0].1,
            "requests to https://a.example:443"
        );
        approvals.require(&file, &one, true, false).unwrap();
        approvals.require(&file, &one, true, false).unwrap();
        let error = approvals.require(&file, &two, true, false).unwrap_err();
        assert_eq!(
            (error.class, error.facts),
            (Class::Policy, vec![("new", "requests to https://b.example:443".to_owned())])
        );
        approvals.require(&file, &two, true, true).unwrap();
        approvals.require(&file, &two, true, false).unwrap();
        // Less is asked for, and then as much as before.
        approvals.require(&file, &one, true, false).unwrap();
        approvals.require(&file, &two, true, false).unwrap();
        assert_eq!(approvals.look(&folder.path().join("other.yaml"), &one).unwrap(), Approved::First);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&approvals.folder), mode(&approvals.file(&file))), (0o700, 0o600));
    }

    #[test]
    fn a_damaged_record_is_an_error_and_not_an_approval() {
        let folder = tempfile::tempdir().unwrap();
        let approvals = Approvals::in_folder(folder.path());
        let grant = grant(&["https://a.example:443"], &Operator::default());
        let file = folder.path().join("shop.yaml");
        approvals.approve(&file, &grant).unwrap();
        fs::write(approvals.file(&file), "{}").unwrap();
        assert!(approvals.require(&file, &grant, true, false).is_err());
        approvals.require(&file, &grant, true, true).unwrap();
    }

    #[test]
    fn a_digest_in_the_policy_stands_for_one_reach() {
        let origins = ["https://a.example:443"];
        let digest = grant(&origins, &Operator::default()).reach.digest();
        let operator = Operator { approved: Some(digest.into()), ..Operator::default() };
        assert!(grant(&origins, &operator).check_approved().is_ok());
        assert_eq!(grant(&[], &operator).check_approved().unwrap_err().class, Class::Policy);
    }
}
