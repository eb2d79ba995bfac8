//! Time and chance, both set by the test.

/// Two clocks: timers run on the one that only moves forward, filters read the one on the wall.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    elapsed_ms: u64,
    offset_ms: i64,
}

impl Clock {
    pub(crate) fn starting_at(unix_ms: u64) -> Self {
        Self { elapsed_ms: 0, offset_ms: i64::try_from(unix_ms).unwrap_or(i64::MAX) }
    }

    /// Milliseconds since the world began; timers are due on this clock.
    pub(crate) fn elapsed_ms(self) -> u64 {
        self.elapsed_ms
    }

    /// Unix milliseconds.
    pub(crate) fn now_ms(self) -> u64 {
        self.elapsed_ms.saturating_add_signed(self.offset_ms)
    }

    pub(crate) fn now_ns(self) -> u64 {
        self.now_ms().saturating_mul(1_000_000)
    }

    pub(crate) fn run_to(&mut self, elapsed_ms: u64) {
        self.elapsed_ms = self.elapsed_ms.max(elapsed_ms);
    }

    /// Sets the clock on the wall forward or back, as an administrator or NTP does. No timer notices.
    pub(crate) fn step(&mut self, by_ms: i64) {
        self.offset_ms = self.offset_ms.saturating_add(by_ms);
    }
}

/// A repeatable source of bytes (`SplitMix64`). Not for keys outside tests.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            bytes.extend(self.next().to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
