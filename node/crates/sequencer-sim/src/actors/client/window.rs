//! What a client has sent and does not know the fate of, and when each message goes out again.
//!
//! 1. Sequences are given in order. What is acknowledged leaves the window, in whatever order the answers come.
//! 2. A message is due at once, and again when its answer has not come for a while.
//! 3. A refused gap makes everything from the expected sequence on due soon. Soon, not at once: the missing one may have been overtaken.
//! 4. Those who are careful halve what they have on the way after a gap, once for all refusals of one flight, and add one with each
//!    answer; for messages overtake each other.
//!
//! Invariant: sequences in the window rise, and each belongs to the session that gave it; a window is cleared before another session uses it.

use std::collections::VecDeque;

use crate::profile::MS;

/// A gap is given this long to close by itself.
const OVERTAKEN_NS: u64 = 5 * MS;
/// Acknowledged messages that are remembered, to be sent again without need. More than a session's window of places.
const REMEMBERED: usize = 40;

/// A message of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::actors) struct Message {
    pub(in crate::actors) sequence: u64,
    pub(in crate::actors) number: u64,
    /// The service that is asked, if it is a query.
    pub(in crate::actors) service: Option<u32>,
    /// Schema and version of the payload.
    pub(in crate::actors) schema: (u16, u16),
    pub(in crate::actors) payload: Vec<u8>,
    /// When it goes out, again if it has been sent.
    due_ns: u64,
}

impl Message {
    /// A message that has no sequence yet. Its payload begins with its number.
    pub(in crate::actors) fn new(
        number: u64,
        service: Option<u32>,
        schema: (u16, u16),
        bytes: usize,
    ) -> Self {
        let mut payload = number.to_le_bytes().to_vec();
        payload.resize(bytes.max(payload.len()), number as u8);
        Self { sequence: 0, number, service, schema, payload, due_ns: 0 }
    }
}

/// See the module's description.
#[derive(Debug, Clone)]
pub(in crate::actors) struct Window {
    pending: VecDeque<Message>,
    acknowledged: VecDeque<Message>,
    next_sequence: u64,
    /// Most messages in the window.
    limit: usize,
    /// Most messages on their way.
    on_way_max: usize,
    /// Gaps before this moment are of the flight that was halved.
    halved_until_ns: u64,
    is_careful: bool,
}

impl Window {
    pub(in crate::actors) fn new(limit: usize, is_careful: bool) -> Self {
        Self {
            pending: VecDeque::new(),
            acknowledged: VecDeque::new(),
            next_sequence: 1,
            limit,
            on_way_max: limit,
            halved_until_ns: 0,
            is_careful,
        }
    }

    pub(in crate::actors) fn has_room(&self) -> bool {
        self.pending.len() < self.limit
    }

    pub(in crate::actors) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    pub(in crate::actors) fn len(&self) -> usize {
        self.pending.len()
    }

    pub(in crate::actors) fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// The first sequence whose fate is not known.
    pub(in crate::actors) fn first(&self) -> u64 {
        self.pending.front().map_or(self.next_sequence, |message| message.sequence)
    }

    pub(in crate::actors) fn push(&mut self, message: Message) {
        self.pending.push_back(Message { sequence: self.next_sequence, ..message });
        self.next_sequence += 1;
    }

    /// The message stands in the log. Returns it if that is news.
    pub(in crate::actors) fn acknowledge(&mut self, sequence: u64) -> Option<&Message> {
        let index = self.pending.iter().position(|message| message.sequence == sequence)?;
        let message = self.pending.remove(index)?;
        self.on_way_max = (self.on_way_max + 1).min(self.limit);
        if self.acknowledged.len() == REMEMBERED {
            self.acknowledged.pop_front();
        }
        self.acknowledged.push_back(message);
        self.acknowledged.back()
    }

    /// The session is open again and its log ends with `last`: goes on behind that. Returns what turned out to be in the log.
    pub(in crate::actors) fn resume_after(&mut self, last: u64) -> u64 {
        let before = self.pending.len();
        self.pending.retain(|message| message.sequence > last);
        for message in &mut self.pending {
            message.due_ns = 0;
        }
        self.on_way_max = self.limit;
        self.next_sequence = self.next_sequence.max(last + 1);
        (before - self.pending.len()) as u64
    }

    /// The session is another one, or the process does not remember. Returns how many messages have an unknown fate.
    pub(in crate::actors) fn forget(&mut self) -> u64 {
        let unknown = self.pending.len() as u64;
        self.pending.clear();
        self.acknowledged.clear();
        self.next_sequence = 1;
        unknown
    }

    /// `expected` was missing when a later one arrived.
    pub(in crate::actors) fn go_back(&mut self, expected: u64, now_ns: u64) {
        for message in self.pending.iter_mut().filter(|message| message.sequence >= expected) {
            message.due_ns = message.due_ns.min(now_ns + OVERTAKEN_NS);
        }
        if self.is_careful && now_ns >= self.halved_until_ns {
            self.on_way_max = (self.on_way_max / 2).max(1);
            self.halved_until_ns = now_ns + OVERTAKEN_NS;
        }
    }

    /// Takes what shall be sent now, as copies in order; none of it is due again for `retry_ns`. The second value says how
    /// many of them had been sent before.
    pub(in crate::actors) fn take_due(&mut self, now_ns: u64, retry_ns: u64) -> (Vec<Message>, u64) {
        let on_way = self.pending.iter().filter(|message| message.due_ns > now_ns).count();
        let mut again = 0;
        let mut due = Vec::new();
        for message in self.pending.iter_mut().filter(|message| message.due_ns <= now_ns) {
            if on_way + due.len() >= self.on_way_max {
                break;
            }
            again += u64::from(message.due_ns > 0);
            message.due_ns = now_ns + retry_ns;
            due.push(message.clone());
        }
        (due, again)
    }

    /// One of the acknowledged messages, counted from the newest.
    pub(in crate::actors) fn remembered(&self, back: usize) -> Option<&Message> {
        self.acknowledged.iter().rev().nth(back)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY_NS: u64 = 100 * MS;

    fn window(limit: usize, is_careful: bool, messages: u64) -> Window {
        let mut window = Window::new(limit, is_careful);
        for number in 1..=messages {
            window.push(Message::new(number, None, (0, 0), 24));
        }
        window
    }

    fn sequences(due: &(Vec<Message>, u64)) -> Vec<u64> {
        due.0.iter().map(|message| message.sequence).collect()
    }

    #[test]
    fn a_message_is_due_at_once_and_again_when_no_answer_comes() {
        let mut window = window(8, false, 3);
        assert_eq!(sequences(&window.take_due(1, RETRY_NS)), [1, 2, 3]);
        assert_eq!(sequences(&window.take_due(RETRY_NS, RETRY_NS)), [0; 0]);
        window.acknowledge(2);
        let due = window.take_due(1 + RETRY_NS, RETRY_NS);
        assert_eq!((sequences(&due), due.1), (vec![1, 3], 2));
    }

    #[test]
    fn payloads_begin_with_the_number() {
        assert_eq!(Message::new(7, None, (0, 0), 3).payload, [7, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Message::new(7, None, (0, 0), 10).payload, [7, 0, 0, 0, 0, 0, 0, 0, 7, 7]);
    }

    #[test]
    fn a_gap_makes_what_follows_it_due_soon() {
        let mut window = window(8, false, 4);
        window.take_due(1, RETRY_NS);
        window.go_back(3, 5 * MS);
        assert_eq!(sequences(&window.take_due(6 * MS, RETRY_NS)), [0; 0]);
        assert_eq!(sequences(&window.take_due(5 * MS + OVERTAKEN_NS, RETRY_NS)), [3, 4]);
    }

    #[test]
    fn a_gap_far_behind_changes_nothing_that_is_acknowledged() {
        let mut window = window(8, false, 2);
        window.take_due(1, RETRY_NS);
        window.acknowledge(1);
        window.acknowledge(2);
        window.go_back(1, 5 * MS);
        assert_eq!(sequences(&window.take_due(RETRY_NS, RETRY_NS)), [0; 0]);
        assert_eq!(window.first(), 3);
    }

    #[test]
    fn the_careful_send_less_after_a_gap_and_more_after_answers() {
        let mut window = window(8, true, 8);
        assert_eq!(window.take_due(1, RETRY_NS).0.len(), 8);
        window.go_back(1, MS);
        window.go_back(1, 2 * MS);
        assert_eq!(sequences(&window.take_due(2 * MS + OVERTAKEN_NS, RETRY_NS)), [1, 2, 3, 4]);
        window.acknowledge(1);
        window.acknowledge(2);
        window.go_back(3, 2 * MS + OVERTAKEN_NS);
        assert_eq!(sequences(&window.take_due(2 * MS + 2 * OVERTAKEN_NS, RETRY_NS)), [3, 4, 5]);
    }

    #[test]
    fn a_session_that_is_open_again_goes_on_behind_what_the_log_holds() {
        let mut window = window(8, false, 5);
        window.take_due(1, RETRY_NS);
        window.acknowledge(4);
        assert_eq!(window.resume_after(4), 3);
        assert_eq!((window.first(), window.next_sequence()), (5, 6));
        assert_eq!(sequences(&window.take_due(2, RETRY_NS)), [5]);
    }

    #[test]
    fn a_process_without_memory_goes_on_behind_what_the_log_holds() {
        let mut window = window(8, false, 5);
        assert_eq!(window.forget(), 5);
        assert_eq!(window.resume_after(4), 0);
        assert_eq!((window.first(), window.next_sequence()), (5, 5));
    }

    #[test]
    fn acknowledged_messages_are_remembered_for_a_while() {
        let mut window = window(100, false, 50);
        for sequence in 1..=50 {
            assert_eq!(window.acknowledge(sequence).map(|message| message.number), Some(sequence));
        }
        assert_eq!(window.acknowledge(50), None);
        assert_eq!(window.remembered(0).map(|message| message.sequence), Some(50));
        assert_eq!(window.remembered(REMEMBERED - 1).map(|message| message.sequence), Some(11));
        assert_eq!(window.remembered(REMEMBERED), None);
    }
}
