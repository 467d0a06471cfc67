//! Answers of APIs that are kept until the rows made of them are: what a run that was cut off had got is not asked for again.
//!
//! ```text
//! <folder>/<digest of whose run it is>/lock              held while a run uses the folder
//!                                      run               the load, and whether the destination knows of it
//!                                      000001.answers …  answers, one behind the other: a line of JSON, then the body
//! ```
//!
//! An answer is kept once it is whole and before the connector sees its end, as the connector gets it: decoded, and with secrets
//! masked. It is found again by what was asked for, before credentials are put on it, and is given once. Nothing is synced: a process
//! that is killed loses nothing by that, and a machine that fails loses answers that can be asked for again. For the same reason an
//! answer that cannot be written or read is no failure.

use super::headers::is_forbidden;
use super::rehearsal::{Answer, Asked};
use crate::destination::Lock;
use crate::digest::{hex, sha256_of, unhex};
use crate::folders;
use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use spile_connector::auth::CREDENTIAL_HEADER;
use std::collections::{HashMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// How long answers are good for. Pages by number shift where records come in between, so a page that is asked for anew fits those after it the less,
/// the older they are; it is the same where a page waits for its retry, and this is no longer than such a wait.
const GOOD_FOR: Duration = Duration::from_secs(5 * 60);

/// The largest body that is kept, and what all that arrive at once may hold: it stands in memory until it is whole.
const MOST_BODY: usize = 8 << 20;
const MOST_HELD: usize = 64 << 20;

/// The most pieces of a body. Each takes some memory, however small it is.
const MOST_PIECES: usize = 8 << 10;

/// The longest head that is read: a damaged file may have no lines.
const MOST_HEAD: u64 = 1 << 20;

/// How large a file grows.
const SEGMENT: u64 = 16 << 20;

/// What is kept behind two commits, in bytes: a page may be fetched long before it is delivered. And what is kept where no commit comes, since all that
/// the API gives is filtered out.
const KEPT_BEHIND: u64 = 64 << 20;
const KEPT_AT_MOST: u64 = 512 << 20;

/// The file with the load.
const RUN: &str = "run";

/// The file that is locked.
const LOCK: &str = "lock";

/// What the names of files with answers end with.
const ENDING: &str = ".answers";

/// The load that a run's rows belong to.
pub(crate) struct OfLoad<'a> {
    pub id: &'a str,
    /// Whether the destination knows of it; else [`KeptAnswers::begun`] is to follow.
    pub is_begun: bool,
    /// Whether it is the pipeline's first one there.
    pub is_first: bool,
}

/// The answers of a run, and those of the interrupted run that it goes on with. Clones are the same.
#[derive(Clone)]
pub(crate) struct KeptAnswers {
    kept: Arc<Mutex<Kept>>,
    /// Bytes of bodies that are not whole yet.
    held: Arc<AtomicUsize>,
}

struct Kept {
    folder: PathBuf,
    load_id: String,
    /// What the interrupted run kept, in the order in which it came.
    known: HashMap<Asked, VecDeque<Place>>,
    found: usize,
    used: u64,
    /// The files, the current one last.
    segments: VecDeque<Segment>,
    /// The current file. None where it could not be written: then nothing is kept any more.
    file: Option<File>,
    commits: u64,
    /// Held while this is.
    _lock: Lock,
}

struct Segment {
    number: u64,
    size: u64,
    /// How many commits there had been when it was written to last.
    commits: u64,
}

/// Where an answer stands.
struct Place {
    segment: u64,
    /// Of its body.
    offset: u64,
    head: Head,
}

#[derive(Serialize, Deserialize)]
struct Head {
    /// In hexadecimal digits.
    asked: String,
    /// When it came, in seconds since 1970.
    at: u64,
    status: u16,
    /// Values in ISO 8859-1: they need not be text.
    headers: Vec<(String, String)>,
    /// Bytes of the body, and their CRC-32.
    size: usize,
    checksum: u32,
}

impl KeptAnswers {
    /// The answers of a run. `whose` tells it from others. What is there is of the same run where it is of the same load; or where the
    /// destination never knew of that load, nor of any other before this one. None where another run uses the folder, or it cannot be written.
    pub fn open(folder: &Path, whose: &[&str], load: &OfLoad<'_>) -> Option<Self> {
        let kept = Kept::open(folder, whose, load).ok()?;
        Some(Self { kept: Arc::new(Mutex::new(kept)), held: Arc::default() })
    }

    /// Removes all answers in a folder that no run uses.
    pub fn forget(folder: &Path) {
        remove_old(folder, Duration::ZERO);
    }

    /// How many answers an interrupted run had kept.
    pub fn found(&self) -> usize {
        self.lock().found
    }

    /// How many of them were given.
    pub fn used(&self) -> u64 {
        self.lock().used
    }

    /// Notes that the destination knows of the load.
    pub fn begun(&self) {
        // Where that fails, what is kept is asked for again.
        let _ = self.lock().note(true);
    }

    /// The answer that an interrupted run got to this request.
    pub(super) fn take(&self, asked: &Asked) -> Option<Answer> {
        self.lock().take(asked)
    }

    /// An answer that begins to arrive. None where it is not one to be kept: what failed is asked for again.
    pub(super) fn keeping(&self, asked: Asked, status: StatusCode, headers: &HeaderMap) -> Option<Keeping> {
        if !status.is_success() {
            return None;
        }
        let headers = headers.iter().filter(|(name, _)| is_of_answer(name));
        let latin = |value: &HeaderValue| value.as_bytes().iter().map(|byte| char::from(*byte)).collect();
        let headers = headers.map(|(name, value)| (name.to_string(), latin(value))).collect();
        let head = Head { asked: hex(asked), at: now(), status: status.as_u16(), headers, size: 0, checksum: 0 };
        Some(Keeping { kept: self.clone(), head, pieces: Vec::new() })
    }

    /// Rows were staged durably: answers that they were made of are not needed any more.
    pub fn staged(&self) {
        let kept = &mut *self.lock();
        kept.commits += 1;
        kept.prune();
    }

    /// Removes all of them.
    pub fn remove(&self) {
        let kept = &mut *self.lock();
        (kept.file, kept.known) = Default::default();
        // What is left behind is not used, and removed by a later run.
        let _ = fs::remove_dir_all(&kept.folder);
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a header says something of the answer. What a quota has left, or how long to wait, it says of an instant; the others no connector sees.
fn is_of_answer(name: &HeaderName) -> bool {
    let of_quota = |part| name.as_str().contains(part);
    let is_passing = *name == RETRY_AFTER || of_quota("ratelimit") || of_quota("rate-limit");
    !is_passing && !is_forbidden(name) && name.as_str() != CREDENTIAL_HEADER
}

/// An answer on its way to the connector.
pub(super) struct Keeping {
    kept: KeptAnswers,
    head: Head,
    pieces: Vec<Bytes>,
}

impl Keeping {
    /// Takes in a piece of the body. False where that has become too large to be kept.
    pub fn push(&mut self, piece: &Bytes) -> bool {
        self.head.size += piece.len();
        self.pieces.push(piece.clone());
        let held = self.kept.held.fetch_add(piece.len(), Ordering::Relaxed) + piece.len();
        self.head.size <= MOST_BODY && self.pieces.len() <= MOST_PIECES && held <= MOST_HELD
    }

    /// Keeps it: it is whole.
    pub fn finish(mut self) {
        let mut checksum = crc32fast::Hasher::new();
        self.pieces.iter().for_each(|piece| checksum.update(piece));
        self.head.checksum = checksum.finalize();
        self.kept.lock().write(&self.head, &self.pieces);
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.kept.held.fetch_sub(self.head.size, Ordering::Relaxed);
    }
}

impl Kept {
    fn open(folder: &Path, whose: &[&str], load: &OfLoad<'_>) -> io::Result<Self> {
        let own = folder.join(sha256_of(whose));
        folders::create_own(&own)?;
        let lock = Lock::take(&own.join(LOCK)).map_err(io::Error::other)?;
        remove_old(folder, GOOD_FOR);
        let noted = fs::read_to_string(own.join(RUN)).unwrap_or_default();
        let (of_load, was_begun) = noted.split_once('\n').unwrap_or_default();
        let is_same = of_load == load.id || (!of_load.is_empty() && was_begun.is_empty() && load.is_first);
        let (mut known, mut segments) = (HashMap::new(), VecDeque::new());
        let names = fs::read_dir(&own)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut numbers: Vec<u64> = names.filter_map(|name| name.strip_suffix(ENDING)?.parse().ok()).collect();
        numbers.sort_unstable();
        for &number in &numbers {
            let path = own.join(name(number));
            if is_same && age(&path).is_some_and(|age| age <= GOOD_FOR) {
                let file = File::open(path)?;
                segments.push_back(Segment { number, size: file.metadata()?.len(), commits: 0 });
                read_places(&file, number, &mut known);
            } else {
                fs::remove_file(path)?;
            }
        }
        let found = known.values().map(VecDeque::len).sum();
        let (load_id, used, commits) = (load.id.to_owned(), 0, 0);
        let mut kept = Self { folder: own, load_id, known, found, used, segments, file: None, commits, _lock: lock };
        kept.create(numbers.last().copied().unwrap_or(0).saturating_add(1))?;
        kept.note(load.is_begun)?;
        Ok(kept)
    }

    fn note(&self, is_begun: bool) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        write!(file, "{}\n{}", self.load_id, if is_begun { "begun" } else { "" })?;
        file.persist(self.folder.join(RUN))?;
        Ok(())
    }

    /// Begins a file.
    fn create(&mut self, number: u64) -> io::Result<()> {
        let path = self.folder.join(name(number));
        self.file = Some(File::options().append(true).create_new(true).mode(0o600).open(path)?);
        self.segments.push_back(Segment { number, size: 0, commits: self.commits });
        Ok(())
    }

    fn take(&mut self, asked: &Asked) -> Option<Answer> {
        let place = self.known.get_mut(asked)?.pop_front()?;
        let answer = place.read(&self.folder)?;
        self.used += 1;
        Some(answer)
    }

    /// Where that fails, all is given up: it may be for want of room that others need.
    fn write(&mut self, head: &Head, pieces: &[Bytes]) {
        if self.try_write(head, pieces).is_err() {
            (self.file, self.known) = Default::default();
            self.segments.drain(..).for_each(|segment| remove(&self.folder, &segment));
        }
    }

    fn try_write(&mut self, head: &Head, pieces: &[Bytes]) -> io::Result<()> {
        let (Some(file), Some(segment)) = (&mut self.file, self.segments.back_mut()) else { return Ok(()) };
        let mut line = serde_json::to_vec(head)?;
        line.push(b'\n');
        file.write_all(&line)?;
        pieces.iter().try_for_each(|piece| file.write_all(piece))?;
        segment.size += (line.len() + head.size) as u64;
        segment.commits = self.commits;
        if segment.size >= SEGMENT {
            let next = segment.number + 1;
            self.create(next)?;
            self.prune();
        }
        Ok(())
    }

    /// Removes files that are hardly needed any more. The rows that a commit covers may be some batches behind the answers that came
    /// before it, so those of the last commit but one stay too.
    fn prune(&mut self) {
        let mut size: u64 = self.segments.iter().map(|segment| segment.size).sum();
        while self.segments.len() > 1 {
            let Some(first) = self.segments.front() else { return };
            size -= first.size;
            let is_behind = self.commits >= first.commits + 2 && size >= KEPT_BEHIND;
            if !is_behind && size < KEPT_AT_MOST {
                return;
            }
            remove(&self.folder, first);
            self.segments.pop_front();
        }
    }
}

/// What is left behind goes with the folder.
fn remove(folder: &Path, segment: &Segment) {
    let _ = fs::remove_file(folder.join(name(segment.number)));
}

impl Place {
    /// None where the file is gone or damaged.
    fn read(self, folder: &Path) -> Option<Answer> {
        let Head { status, headers: fields, size, checksum, .. } = self.head;
        let file = File::open(folder.join(name(self.segment))).ok()?;
        let mut body = vec![0; size];
        file.read_exact_at(&mut body, self.offset).ok()?;
        if crc32fast::hash(&body) != checksum {
            return None;
        }
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let value: Result<Vec<u8>, _> = value.chars().map(u8::try_from).collect();
            headers.append(HeaderName::try_from(name).ok()?, HeaderValue::from_bytes(&value.ok()?).ok()?);
        }
        Some(Answer { status: StatusCode::from_u16(status).ok()?, headers, body: body.into() })
    }
}

/// Finds the answers in a file. One that was being written when the run was cut off is the last, and not whole.
fn read_places(file: &File, segment: u64, known: &mut HashMap<Asked, VecDeque<Place>>) {
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let (mut reader, mut offset, mut line) = (BufReader::new(file), 0, Vec::new());
    loop {
        line.clear();
        let Ok(read) = (&mut reader).take(MOST_HEAD).read_until(b'\n', &mut line) else { return };
        let Ok(head) = serde_json::from_slice::<Head>(&line) else { return };
        offset += read as u64;
        let asked = unhex(&head.asked).and_then(|bytes| Asked::try_from(bytes).ok());
        let Some(asked) = asked.filter(|_| head.size <= MOST_BODY) else { return };
        let end = offset + head.size as u64;
        // No larger than `MOST_BODY`.
        if end > length || reader.seek_relative(head.size as i64).is_err() {
            return;
        }
        if now().saturating_sub(head.at) <= GOOD_FOR.as_secs() {
            known.entry(asked).or_default().push_back(Place { segment, offset, head });
        }
        offset = end;
    }
}

/// The name of a file with answers.
fn name(segment: u64) -> String {
    format!("{segment:06}{ENDING}")
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// How long ago a file was written to.
fn age(path: &Path) -> Option<Duration> {
    let written = fs::symlink_metadata(path).ok()?.modified().ok()?;
    // Later than now where a clock was put back.
    Some(SystemTime::now().duration_since(written).unwrap_or_default())
}

/// Removes answers that nobody came back for in so long.
fn remove_old(folder: &Path, good_for: Duration) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let is_ours = name.len() == 64 && name.to_str().is_some_and(|name| unhex(name).is_some());
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !is_ours || !is_folder {
            continue;
        }
        let files = fs::read_dir(&path).into_iter().flatten().flatten();
        let newest = files.map(|file| file.path()).chain([path.clone()]).filter_map(|file| age(&file)).min();
        if newest.is_none_or(|age| age < good_for) {
            continue;
        }
        // Where a run uses them, it holds the lock.
        if let Ok(_held) = Lock::take(&path.join(LOCK)) {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

#[cfg(test)]
mod tests;
