use super::*;
use std::os::unix::fs::PermissionsExt;

const OK: StatusCode = StatusCode::OK;

fn load(id: &str) -> OfLoad<'_> {
    OfLoad { id, is_begun: true, is_first: false }
}

fn open(folder: &tempfile::TempDir, load: &OfLoad<'_>) -> KeptAnswers {
    KeptAnswers::open(folder.path(), &["a run"], load).unwrap()
}

fn keep(kept: &KeptAnswers, asked: u8, headers: &HeaderMap, pieces: &[&'static [u8]]) {
    let mut keeping = kept.keeping([asked; 32], OK, headers).unwrap();
    assert!(pieces.iter().all(|piece| keeping.push(&Bytes::from_static(piece))));
    keeping.finish();
}

fn bodies(kept: &KeptAnswers, asked: u8) -> Vec<Bytes> {
    std::iter::from_fn(|| kept.take(&[asked; 32])).map(|answer| answer.body).collect()
}

#[test]
fn what_a_run_that_was_cut_off_had_got_is_given_once_in_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut headers = HeaderMap::new();
    headers.append("link", HeaderValue::from_static("<a>"));
    headers.append("link", HeaderValue::from_bytes(b"\xff").unwrap());
    let first = open(&folder, &load("1"));
    keep(&first, 1, &headers, &[b"on", b"e"]);
    keep(&first, 2, &HeaderMap::new(), &[]);
    assert_eq!(bodies(&first, 1), [""; 0], "of its own answers a run is given none");
    keep(&first, 1, &headers, &[b"two"]);
    drop(first);

    // Cut off again before it asked for all.
    let second = open(&folder, &load("1"));
    assert_eq!(second.found(), 3);
    keep(&second, 1, &headers, &[b"three"]);
    drop(second);

    let third = open(&folder, &load("1"));
    let answer = third.take(&[1; 32]).unwrap();
    assert_eq!((answer.status, &answer.headers, answer.body), (OK, &headers, Bytes::from("one")));
    assert_eq!((bodies(&third, 1), bodies(&third, 2)), (vec!["two".into(), "three".into()], vec![Bytes::new()]));
    assert_eq!((third.found(), third.used(), bodies(&third, 9)), (4, 4, vec![]));
    third.remove();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_is_damaged_is_asked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let kept = open(&folder, &load("1"));
    (1..=3).for_each(|asked| keep(&kept, asked, &HeaderMap::new(), &[b"whole"]));
    drop(kept);
    let file = folder.path().join(sha256_of(["a run"])).join(name(1));
    let mut bytes = fs::read(&file).unwrap();
    let length = bytes.len();
    // The first one's last byte, and the last one's end.
    bytes[length / 3 - 1] ^= 1;
    fs::write(&file, &bytes[..length - 1]).unwrap();
    let kept = open(&folder, &load("1"));
    assert_eq!((bodies(&kept, 1), bodies(&kept, 2), bodies(&kept, 3)), (vec![], vec!["whole".into()], vec![]));
    drop(kept);
    for bytes in [vec![0xff; 40], vec![0; 40], b"{}\n".to_vec()] {
        fs::write(&file, bytes).unwrap();
        assert_eq!(open(&folder, &load("1")).found(), 0);
    }
}

#[test]
fn another_load_asks_for_all() {
    let (begun, unknown) = (load("1"), OfLoad { is_begun: false, is_first: true, ..load("1") });
    for (first, second, found) in [
        (&begun, load("1"), 1),
        (&begun, load("2"), 0),
        (&begun, OfLoad { is_first: true, ..load("2") }, 0),
        (&unknown, OfLoad { is_begun: false, is_first: true, ..load("2") }, 1),
        (&unknown, OfLoad { is_first: true, ..load("2") }, 1),
        (&unknown, load("1"), 1),
        (&unknown, load("2"), 0),
    ] {
        let folder = tempfile::tempdir().unwrap();
        keep(&open(&folder, first), 1, &HeaderMap::new(), &[b"one"]);
        let kept = open(&folder, &second);
        assert_eq!(kept.found(), found);
        assert!(KeptAnswers::open(folder.path(), &["a run"], &second).is_none(), "one run at a time");
        assert_eq!(KeptAnswers::open(folder.path(), &["another"], &second).unwrap().found(), 0);
    }
    let folder = tempfile::tempdir().unwrap();
    let kept = open(&folder, &unknown);
    keep(&kept, 1, &HeaderMap::new(), &[b"one"]);
    kept.begun();
    drop(kept);
    assert_eq!(open(&folder, &OfLoad { is_first: true, ..load("2") }).found(), 0);
}

#[test]
fn what_is_old_is_not_used_and_goes() {
    let folder = tempfile::tempdir().unwrap();
    let not_ours = folder.path().join("documents");
    fs::create_dir(&not_ours).unwrap();
    keep(&open(&folder, &load("1")), 1, &HeaderMap::new(), &[b"one"]);
    let own = folder.path().join(sha256_of(["a run"]));
    let make_old = |path: &Path| {
        let long_ago = SystemTime::now() - GOOD_FOR - Duration::from_secs(60);
        File::open(path).unwrap().set_modified(long_ago).unwrap();
    };
    make_old(&own.join(name(1)));
    assert_eq!(open(&folder, &load("1")).found(), 0, "what is young beside it makes it no younger");
    let kept = open(&folder, &load("1"));
    keep(&kept, 1, &HeaderMap::new(), &[b"one"]);
    let mut young = kept.keeping([2; 32], OK, &HeaderMap::new()).unwrap();
    let mut old = kept.keeping([3; 32], OK, &HeaderMap::new()).unwrap();
    old.head.at -= GOOD_FOR.as_secs() + 60;
    assert!(young.push(&Bytes::from_static(b"two")) && old.push(&Bytes::from_static(b"three")));
    old.finish();
    young.finish();
    drop(kept);
    assert_eq!(open(&folder, &load("1")).found(), 2, "in a file that is young");
    KeptAnswers::forget(folder.path());

    keep(&open(&folder, &load("1")), 1, &HeaderMap::new(), &[b"one"]);
    let entries: Vec<_> = fs::read_dir(&own).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.iter().chain([&own, &not_ours]).for_each(|path| make_old(path));
    let used = open(&folder, &load("1"));
    assert_eq!(used.found(), 0);
    let other = || KeptAnswers::open(folder.path(), &["another"], &load("1")).unwrap();
    entries.iter().filter(|path| path.exists()).chain([&own]).for_each(|path| make_old(path));
    other();
    assert!(own.exists(), "it is used");
    drop(used);
    let entries = fs::read_dir(&own).unwrap().map(|entry| entry.unwrap().path());
    entries.chain([own.clone()]).for_each(|path| make_old(&path));
    other();
    assert!(!own.exists() && not_ours.exists());
    KeptAnswers::forget(folder.path());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn files_are_few() {
    let folder = tempfile::tempdir().unwrap();
    let kept = open(&folder, &load("1"));
    let body = &*vec![7; MOST_BODY].leak();
    for nth in 0..24 {
        keep(&kept, nth, &HeaderMap::new(), &[body]);
        kept.staged();
    }
    let own = folder.path().join(sha256_of(["a run"]));
    let size: u64 = fs::read_dir(&own).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!((KEPT_BEHIND..KEPT_BEHIND + 2 * SEGMENT).contains(&size), "{size}");
    drop(kept);
    let kept = open(&folder, &load("1"));
    assert_eq!((bodies(&kept, 0).len(), bodies(&kept, 23).len()), (0, 1));

    // Without a commit, as if they were larger.
    let count = |kept: &KeptAnswers| {
        let kept = &mut *kept.lock();
        kept.prune();
        kept.segments.len()
    };
    let before = count(&kept);
    kept.lock().segments.back_mut().unwrap().size = KEPT_AT_MOST;
    assert_eq!(count(&kept), 1);
    assert!(before > 4, "{before}");
}

#[test]
fn an_answer_that_failed_or_is_too_large_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let kept = open(&folder, &load("1"));
    let headers = HeaderMap::new();
    assert!(kept.keeping([1; 32], StatusCode::TOO_MANY_REQUESTS, &headers).is_none());
    let keeping = || kept.keeping([1; 32], OK, &headers).unwrap();
    let mut large = keeping();
    assert!(large.push(&Bytes::from(vec![0; MOST_BODY])) && !large.push(&Bytes::from_static(b"0")));
    let mut in_pieces = keeping();
    let pieces = std::iter::repeat_with(|| in_pieces.push(&Bytes::from_static(b"0")));
    assert_eq!(pieces.take_while(|is_kept| *is_kept).count(), MOST_PIECES);
    drop((large, in_pieces));
    let mut many: Vec<_> = (0..=MOST_HELD / MOST_BODY).map(|_| keeping()).collect();
    let last = many.len() - 1;
    let body = Bytes::from(vec![0; MOST_BODY]);
    for (nth, keeping) in many.iter_mut().enumerate() {
        assert_eq!(keeping.push(&body), nth < last);
    }
    drop(many);
    assert_eq!(kept.held.load(Ordering::Relaxed), 0);
}

#[test]
fn what_a_header_says_of_an_instant_or_of_a_session_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut headers = HeaderMap::new();
    for name in ["link", "set-cookie", "retry-after", "ratelimit", "x-ratelimit-remaining", "x-rate-limit-reset"] {
        headers.insert(name, HeaderValue::from_static("1"));
    }
    headers.insert(CREDENTIAL_HEADER, HeaderValue::from_static("1"));
    keep(&open(&folder, &load("1")), 1, &headers, &[]);
    let answer = open(&folder, &load("1")).take(&[1; 32]).unwrap();
    assert_eq!(answer.headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["link"]);
}

#[test]
fn where_nothing_can_be_written_all_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    keep(&open(&folder, &load("1")), 1, &HeaderMap::new(), &[b"one"]);
    let kept = open(&folder, &load("1"));
    let own = folder.path().join(sha256_of(["a run"]));
    // It can be read only.
    kept.lock().file = Some(File::open(own.join(name(1))).unwrap());
    keep(&kept, 2, &HeaderMap::new(), &[b"two"]);
    assert_eq!(bodies(&kept, 1), [""; 0]);
    assert!(!own.join(name(1)).exists() && !own.join(name(2)).exists());
    keep(&kept, 3, &HeaderMap::new(), &[b"three"]);
    kept.staged();
    drop(kept);
    assert_eq!(open(&folder, &load("1")).found(), 0);
}

#[test]
fn only_the_user_can_read_them() {
    let folder = tempfile::tempdir().unwrap();
    let kept = open(&folder, &load("1"));
    keep(&kept, 1, &HeaderMap::new(), &[b"one"]);
    let own = folder.path().join(sha256_of(["a run"]));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&own), mode(&own.join(name(1)))), (0o700, 0o600));
    drop(kept);
    fs::set_permissions(&own, fs::Permissions::from_mode(0o777)).unwrap();
    assert!(KeptAnswers::open(folder.path(), &["a run"], &load("1")).is_none());
}
