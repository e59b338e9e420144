//! Whom to try next, and when.
//!
//! 1. An address that a node named as the leader's is tried at once.
//! 2. Without one the addresses of the settings are tried in turn.
//! 3. After a failure the next attempt waits: 5 ms, doubled with each failure in a row up to 500 ms, of which the second half is drawn at random,
//!    so that many clients that lost the same node do not come back in step.
//! 4. Nodes that send us to each other, each thinking that the other leads, are failures from the third hop on.

use crate::event::Purpose;

const BACKOFF_NS_MIN: u64 = 5_000_000;
const BACKOFF_NS_MAX: u64 = 500_000_000;
/// A connection that ended sooner than this is a failure, even if it worked: otherwise one that is cut again and again would be made again without rest.
const WORKED_NS_MIN: u64 = 100_000_000;
/// Redirects in a row that are followed at once.
const HOPS_MAX: u32 = 2;

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Router {
    addresses: Vec<String>,
    next: usize,
    /// Where the leader was said to be.
    named: Option<String>,
    failures: u32,
    hops: u32,
    not_before_ns: u64,
    random: u64,
}

impl Router {
    /// `seed` draws the jitter, and the first address of a reader, so that readers spread over the nodes.
    pub(crate) fn new(addresses: Vec<String>, purpose: Purpose, seed: u64) -> Self {
        let mut router =
            Self { addresses, next: 0, named: None, failures: 0, hops: 0, not_before_ns: 0, random: seed };
        if purpose == Purpose::Reader {
            router.next = (router.draw() % router.addresses.len() as u64) as usize;
        }
        router
    }

    /// From here on only these.
    pub(crate) fn replace(&mut self, addresses: Vec<String>) {
        if self.addresses != addresses {
            self.next = if addresses.len() == self.addresses.len() { self.next } else { 0 };
            self.addresses = addresses;
            self.named = None;
            (self.failures, self.hops, self.not_before_ns) = (0, 0, 0);
        }
    }

    /// The address to try now; `None` before [`Self::due_ns`].
    pub(crate) fn candidate(&mut self, now_ns: u64) -> Option<String> {
        if now_ns < self.not_before_ns {
            return None;
        }
        Some(self.named.take().unwrap_or_else(|| {
            let address = self.addresses[self.next % self.addresses.len()].clone();
            self.next = (self.next + 1) % self.addresses.len();
            address
        }))
    }

    /// When the next attempt is due.
    pub(crate) fn due_ns(&self) -> u64 {
        self.not_before_ns
    }

    /// A node says that the leader is there.
    pub(crate) fn redirected(&mut self, address: &str, now_ns: u64) {
        self.named = Some(address.to_owned());
        self.hops += 1;
        self.not_before_ns =
            if self.hops > HOPS_MAX { now_ns + self.backoff(self.hops - HOPS_MAX) } else { now_ns };
    }

    /// Whether a node has said where the leader is, and it was not tried yet.
    pub(crate) fn has_named(&self) -> bool {
        self.named.is_some()
    }

    /// The connection does what it is for.
    pub(crate) fn arrived(&mut self) {
        self.hops = 0;
    }

    /// The connection ended, or did not come about. `worked_ns` is how long it did what it is for.
    pub(crate) fn lost(&mut self, now_ns: u64, worked_ns: Option<u64>) {
        if worked_ns.is_some_and(|worked| worked >= WORKED_NS_MIN) {
            self.failures = 0;
            self.not_before_ns = now_ns;
        } else {
            self.failures += 1;
            self.not_before_ns = now_ns + self.backoff(self.failures);
        }
    }

    fn backoff(&mut self, failures: u32) -> u64 {
        let whole = (BACKOFF_NS_MIN << (failures - 1).min(10)).min(BACKOFF_NS_MAX);
        whole / 2 + self.draw() % (whole / 2 + 1)
    }

    /// SplitMix64.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn router() -> Router {
        Router::new(["a", "b", "c"].map(str::to_owned).to_vec(), Purpose::Leader, 7)
    }

    #[test]
    fn addresses_are_tried_in_turn_with_growing_waits() {
        let mut router = router();
        let mut now = 0;
        let mut waits = Vec::new();
        for turn in 0..12 {
            let expected = ["a", "b", "c"][turn % 3];
            assert_eq!(router.candidate(now).as_deref(), Some(expected));
            router.lost(now, None);
            let due = router.due_ns();
            assert_eq!(router.candidate(due - 1), None);
            waits.push(due - now);
            now = due;
        }
        for (turn, wait) in waits.iter().enumerate() {
            let whole = ((5 * MS) << turn.min(10)).min(500 * MS);
            assert!((whole / 2..=whole).contains(wait), "turn {turn}: {wait}");
        }
    }

    #[test]
    fn the_leader_that_was_named_comes_first_and_once() {
        let mut router = router();
        assert_eq!(router.candidate(0).as_deref(), Some("a"));
        router.redirected("z", 5);
        assert_eq!(router.candidate(5).as_deref(), Some("z"));
        router.lost(6, None);
        assert_eq!(router.candidate(router.due_ns()).as_deref(), Some("b"));
    }

    #[test]
    fn a_connection_that_worked_is_followed_by_the_next_at_once() {
        let mut router = router();
        router.candidate(0);
        router.lost(0, None);
        router.candidate(10 * MS);
        router.lost(500 * MS, Some(400 * MS));
        assert_eq!(router.candidate(500 * MS).as_deref(), Some("c"));
        router.lost(501 * MS, Some(MS));
        assert!(router.due_ns() > 501 * MS, "cut too soon to have worked");
    }

    #[test]
    fn nodes_that_send_us_round_in_circles_are_followed_ever_more_slowly() {
        let mut router = router();
        router.redirected("b", 0);
        router.redirected("a", 0);
        assert_eq!(router.due_ns(), 0);
        router.redirected("b", 0);
        assert!(router.due_ns() > 0);
        assert_eq!(router.candidate(10 * MS).as_deref(), Some("b"));
        router.arrived();
        router.redirected("c", 20 * MS);
        assert_eq!(router.due_ns(), 20 * MS);
    }

    #[test]
    fn readers_begin_at_different_nodes() {
        let first = |seed| {
            let addresses = ["a", "b", "c"].map(str::to_owned).to_vec();
            Router::new(addresses, Purpose::Reader, seed).candidate(0)
        };
        let firsts: std::collections::BTreeSet<_> = (0..20).map(first).collect();
        assert_eq!(firsts.len(), 3);
    }
}
