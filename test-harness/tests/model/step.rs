//! What happens in a story, and how stories are made up.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::proxy::{Line, WORKERS};
use crate::run::PROXIES;
use crate::service::REPLICAS;
use crate::sessions::{Kind, USERS};

/// A sequence of things that happen, and what is so throughout.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    /// How far the application's clock is ahead of the database's: as far as `REVOCATION_SKEW` allows.
    pub(crate) ahead_ms: i64,
    /// `on_stale_feed`.
    pub(crate) denies_if_stale: bool,
    pub(crate) steps: Vec<Step>,
}

/// Something that happens. Sessions and their tokens are chosen modulo how many there are.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    SignIn {
        user: usize,
        kind: Kind,
    },
    /// A page is asked for with any token of a session that was ever issued.
    Visit(Where, Which),
    /// A reply that goes on until it is cut, or the story ends.
    Stream(Where, Which),
    /// The application looks at the token and issues another one.
    Refresh(Where, Which),
    /// The same, with a reply that takes until [`Step::Reply`].
    BeginRefresh(Where, Which),
    /// The oldest such reply comes.
    Reply,
    /// By the path of the gate.
    SignOut(Where, Which),
    /// By the application's own path.
    SignOutOfApp(Where, Which),
    /// By an administrator: this session, and all of a user's.
    End(Which),
    EndAll {
        user: usize,
    },
    Wait {
        ms: u64,
    },
    StopReplica(usize),
    StartReplica(usize),
    Database {
        is_down: bool,
    },
    Line {
        proxy: usize,
        line: Line,
    },
    Crash(Where),
    RestartProxy(usize),
    Configure(usize),
}

/// A worker of a proxy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Where {
    pub(crate) proxy: usize,
    pub(crate) worker: usize,
}

/// A token of a session; the latest session comes first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Which {
    pub(crate) session: usize,
    pub(crate) token: usize,
}

pub(crate) fn stories() -> impl Strategy<Value = Story> {
    let ahead = prop_oneof![Just(-5_i64), Just(0), Just(5), -5_i64..=5];
    let scene = prop_oneof![12 => step().prop_map(|step| vec![step]), 2 => copied()];
    (ahead, any::<bool>(), vec(scene, 1..35)).prop_map(|(ahead, denies_if_stale, scenes)| Story {
        ahead_ms: ahead * 1_000,
        denies_if_stale,
        steps: scenes.concat(),
    })
}

/// A copy of a token is issued again behind a proxy that cannot have heard of the end of its session.
fn copied() -> impl Strategy<Value = Vec<Step>> {
    let line = prop_oneof![Just(Line::Refused), Just(Line::Silent)];
    (place(), sign_in(), line, 0_u64..50).prop_map(|(place, sign_in, line, steps)| {
        let (proxy, which) = (place.proxy, Which { session: 0, token: 0 });
        vec![
            sign_in,
            Step::Line { proxy, line },
            Step::End(which),
            Step::Wait { ms: steps * 100 },
            Step::Refresh(place, which),
            Step::Line { proxy, line: Line::Up },
        ]
    })
}

fn step() -> impl Strategy<Value = Step> {
    let line = || prop_oneof![2 => Just(Line::Up), 1 => Just(Line::Refused), 1 => Just(Line::Silent)];
    prop_oneof![
        6 => sign_in(),
        8 => (place(), which()).prop_map(|(place, which)| Step::Visit(place, which)),
        4 => (place(), which()).prop_map(|(place, which)| Step::Stream(place, which)),
        6 => (place(), which()).prop_map(|(place, which)| Step::Refresh(place, which)),
        2 => (place(), which()).prop_map(|(place, which)| Step::BeginRefresh(place, which)),
        2 => Just(Step::Reply),
        4 => (place(), which()).prop_map(|(place, which)| Step::SignOut(place, which)),
        3 => (place(), which()).prop_map(|(place, which)| Step::SignOutOfApp(place, which)),
        3 => which().prop_map(Step::End),
        1 => (0..USERS.len()).prop_map(|user| Step::EndAll { user }),
        10 => (0_u64..30).prop_map(|steps| Step::Wait { ms: steps * 100 }),
        1 => (0..REPLICAS).prop_map(Step::StopReplica),
        2 => (0..REPLICAS).prop_map(Step::StartReplica),
        1 => prop_oneof![1 => Just(true), 2 => Just(false)].prop_map(|is_down| Step::Database { is_down }),
        2 => (0..PROXIES, line()).prop_map(|(proxy, line)| Step::Line { proxy, line }),
        2 => place().prop_map(Step::Crash),
        1 => (0..PROXIES).prop_map(Step::RestartProxy),
        1 => (0..PROXIES).prop_map(Step::Configure),
    ]
}

fn sign_in() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![Just(Kind::Named), Just(Kind::Dated), Just(Kind::Plain)];
    (0..USERS.len(), kind).prop_map(|(user, kind)| Step::SignIn { user, kind })
}

fn place() -> impl Strategy<Value = Where> {
    (0..PROXIES, 0..WORKERS).prop_map(|(proxy, worker)| Where { proxy, worker })
}

fn which() -> impl Strategy<Value = Which> {
    (0_usize..12, 0_usize..4).prop_map(|(session, token)| Which { session, token })
}
