//! Which part fails when: at random, from a seed, each part by itself.

use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::chain::Chain;
use crate::faults::{Fault, Outcome, Part, State, expected, make};

/// The state of all parts.
pub(super) struct Weather {
    random: Rng,
    spells: [Spell; 3],
    faults: u32,
}

/// What ails a part, and until when it stays so.
struct Spell {
    part: Part,
    fault: Option<Fault>,
    until: Instant,
}

impl Weather {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let spells = PARTS.map(|part| Spell { part, fault: None, until: Instant::now() + any(&mut random, CALM) });
        Self { random, spells, faults: 0 }
    }

    /// Lets those parts fail and recover whose time has come. `warn` is called before users may notice.
    pub(super) fn turn(&mut self, chain: &mut Chain, warn: impl Fn()) {
        let Self { random, spells, faults } = self;
        for spell in spells.iter_mut().filter(|spell| spell.until <= Instant::now()) {
            if let Some(fault) = spell.fault.take() {
                make::mend(chain, spell.part, fault).expect("it starts again");
                spell.until = Instant::now() + any(random, CALM);
            } else {
                let fault = FAULTS[random.usize(0..FAULTS.len())];
                spell.fault = Some(fault);
                *faults += 1;
                if spell.shows() {
                    warn();
                }
                make::fail(chain, spell.part, fault).expect("it can fail");
                spell.until = Instant::now() + any(random, FAULT);
            }
        }
    }

    /// Ends all faults.
    pub(super) fn clear_up(&mut self, chain: &mut Chain) {
        for spell in &mut self.spells {
            if let Some(fault) = spell.fault.take() {
                make::mend(chain, spell.part, fault).expect("it starts again");
            }
        }
    }

    /// Whether users who were never asked about may be put off.
    pub(super) fn shows(&self) -> bool {
        self.spells.iter().any(Spell::shows)
    }

    /// Whether the database itself runs.
    pub(super) fn has_database(&self) -> bool {
        self.spells.iter().all(|spell| spell.part != Part::Postgres || spell.fault.is_none())
    }

    /// How many faults there have been.
    pub(super) fn faults(&self) -> u32 {
        self.faults
    }
}

impl Spell {
    fn shows(&self) -> bool {
        self.fault.is_some_and(|fault| expected(self.part, fault, State::Unknown) != Outcome::Served)
    }
}

fn any(random: &mut Rng, (least, most): (u64, u64)) -> Duration {
    Duration::from_millis(random.u64(least..most))
}

/// A part that was killed is empty when it comes back. An empty database would rightly refuse everybody.
const FAULTS: [Fault; 5] = [Fault::Killed, Fault::Paused, Fault::Slow, Fault::Garbage, Fault::Reset];

const PARTS: [Part; 3] = [Part::Redis, Part::Postgres, Part::Replica];

const FAULT: (u64, u64) = (500, 5000);
const CALM: (u64, u64) = (1000, 14_000);
