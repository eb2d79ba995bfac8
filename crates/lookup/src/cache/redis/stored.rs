//! The form in which Redis holds a record, and what counts as one.

use std::time::{Duration, Instant};

use jwe_gate_contract::{Kind, Limits};
use serde::{Deserialize, Serialize};

use crate::key::{Namespace, RecordKey};
use crate::record::{Held, Record};

/// The version of the stored form. Another one is no record.
const VERSION: u32 = 1;

/// What is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    realm: String,
    kind: Kind,
    #[serde(flatten)]
    record: Record,
}

/// A value to store and how long it lives.
pub(super) struct Value {
    pub(super) text: String,
    pub(super) lives_ms: u64,
}

/// The record, if `text` is one of ours and has not lived longer than it may.
pub(super) fn recognise(
    namespace: &Namespace,
    key: &RecordKey,
    text: &[u8],
    left_ms: i64,
    now: Instant,
) -> Option<Held> {
    let stored: Stored = serde_json::from_slice(text).ok()?;
    let is_ours = stored.version == VERSION && stored.realm == namespace.realm() && stored.kind == key.kind();
    let limits = stored.record.limits;
    let is_ordered = limits.fresh_ms <= limits.stale_ms && limits.stale_ms <= limits.hard_ms;
    // A key without an end, or with a later one than it was written with, was not written by us.
    let age_ms = limits.hard_ms.checked_sub(u64::try_from(left_ms).ok()?)?;
    let since = now.checked_sub(Duration::from_millis(age_ms))?;
    (is_ours && is_ordered).then_some(Held { record: stored.record, since })
}

/// The value for a record, unless its time is over.
pub(super) fn value(namespace: &Namespace, key: &RecordKey, held: &Held, now: Instant) -> Option<Value> {
    let lives_ms = held.remaining(now).hard_ms;
    let stored =
        Stored { version: VERSION, realm: namespace.realm().to_owned(), kind: key.kind(), record: held.record.clone() };
    let text = serde_json::to_string(&stored).ok().filter(|_| lives_ms > 0)?;
    Some(Value { text, lives_ms })
}

/// The same denial for as long as it is used without asking again. The rest of its time, in which it keeps somebody out
/// while asking fails, is of use only where somebody had been let in.
pub(super) fn brief(held: &Held) -> Held {
    let fresh_ms = held.record.limits.fresh_ms;
    let limits = Limits { fresh_ms, stale_ms: fresh_ms, hard_ms: fresh_ms };
    Held { record: Record { limits, ..held.record.clone() }, since: held.since }
}
