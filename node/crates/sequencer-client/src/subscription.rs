//! How far the log was read, and whether what arrives continues it.
//!
//! Invariant: frames are delivered in order of position, each once and without a gap, whichever nodes they come from. Only whole messages of frames that
//! verified move the position, and every (new) connection is asked for frames from there on.

use sequencer_link::{Ask, EndReason};
use sequencer_wire::{Frames, Position, Term};

use crate::error::Disconnect;
use crate::event::Purpose;
use crate::session::send;
use crate::settings::SubscribeAt;

/// How long nodes may say that they have no such position before it is believed: one that lags behind says so too.
const PATIENCE_NS: u64 = 2_000_000_000;
const ASK_AGAIN_NS: u64 = 20_000_000;

/// What is to be done once a node has ended the subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterEnd {
    /// It is over.
    Over,
    /// The same node is asked again a little later.
    AskAgain,
    /// Another node is asked.
    Elsewhere,
}

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) at: SubscribeAt,
    /// Where the next frame begins; `None` until a node has said where its log ends.
    pub(crate) position: Option<Position>,
    /// Term of the frame before it, if that was read.
    term: Option<Term>,
    verifies: bool,
    /// It is asked for on the present connection, by this tag.
    pub(crate) tag: Option<u32>,
    pub(crate) ask_ns: u64,
    /// The position is known to be one: frames up to there, or from there on, were read.
    is_sure: bool,
    refused_since_ns: Option<u64>,
}

impl Subscription {
    /// From this position on, or from the end of the committed log.
    pub(crate) fn new(from: Option<Position>, at: SubscribeAt, verifies: bool) -> Self {
        // An empty log has no term; every log begins at its start.
        let (is_sure, term) =
            if from == Some(Position::START) { (true, Some(Term::NONE)) } else { (false, None) };
        Self { at, position: from, term, verifies, tag: None, ask_ns: 0, is_sure, refused_since_ns: None }
    }

    /// The connection that serves it.
    pub(crate) fn purpose(&self) -> Purpose {
        if self.at == SubscribeAt::Leader { Purpose::Leader } else { Purpose::Reader }
    }

    /// Appends the request if it is due.
    pub(crate) fn ask(&mut self, into: &mut Vec<u8>, tags: &mut u32, now_ns: u64) {
        if self.tag.is_none() && now_ns >= self.ask_ns {
            let from = self.position.unwrap_or(Position(u64::MAX));
            self.tag = Some(send(into, tags, &Ask::Subscribe { from }));
        }
    }

    /// Takes in frames; the position is behind them then.
    ///
    /// # Errors
    /// When they do not continue what was read before, or one does not verify; nothing has changed.
    pub(crate) fn on_frames(
        &mut self,
        from: Position,
        previous: Term,
        frames: &[u8],
    ) -> Result<(), Disconnect> {
        if let Some(expected) = self.position.filter(|expected| *expected != from) {
            return Err(Disconnect::Gap { found: from, expected });
        }
        if let Some(expected) = self.term.filter(|expected| *expected != previous) {
            return Err(Disconnect::History { at: from, found: previous, expected });
        }
        let (position, term) = if self.verifies {
            let mut walk = Frames::new(frames, from, previous);
            if let Some(error) = walk.by_ref().find_map(Result::err) {
                return Err(Disconnect::Frame(error));
            }
            (walk.position(), Some(walk.term()))
        } else {
            (from.advanced(frames.len() as u64), None)
        };
        (self.position, self.term) = (Some(position), term);
        self.is_sure = true;
        self.refused_since_ns = None;
        Ok(())
    }

    /// The node has ended it; it has not been asked for any more.
    pub(crate) fn on_ended(&mut self, reason: EndReason, position: Position, now_ns: u64) -> AfterEnd {
        self.tag = None;
        let is_over = match reason {
            EndReason::Trimmed => true,
            EndReason::Damaged => false,
            EndReason::NoSuchPosition => {
                let since = *self.refused_since_ns.get_or_insert(now_ns);
                // A log that goes further, and still no frame begins there.
                let is_inside = self.position.is_some_and(|wanted| wanted <= position);
                !self.is_sure && (is_inside || now_ns - since >= PATIENCE_NS)
            }
        };
        if is_over {
            AfterEnd::Over
        } else if self.purpose() == Purpose::Leader && reason == EndReason::NoSuchPosition {
            self.ask_ns = now_ns + ASK_AGAIN_NS;
            AfterEnd::AskAgain
        } else {
            AfterEnd::Elsewhere
        }
    }
}

#[cfg(test)]
mod tests {
    use sequencer_wire::{
        FrameFields, FrameKind, NewTerm, NodeId, encode_frame, encode_new_term, frame_bytes,
    };

    use super::*;

    /// A new term and two messages, with where each frame begins and where the log ends.
    fn log() -> (Vec<u8>, [u64; 4]) {
        let mut bytes = vec![0; 72];
        let first = NewTerm { term: Term(3), previous: Term::NONE, leader: NodeId(1) };
        encode_new_term(&mut bytes, Position(0), first, 5).expect("it fits");
        for sequence in [1, 2] {
            let at = bytes.len();
            bytes.resize(at + frame_bytes(16), 0);
            let fields = FrameFields {
                kind: FrameKind::Message,
                flags: 0,
                source_id: 1,
                source_sequence: sequence,
                timestamp_ns: 5,
                cause: Position(0),
                schema_id: 0,
                schema_version: 0,
                epoch: 1,
            };
            encode_frame(&mut bytes[at..], Position(at as u64), Term(3), &fields, &[7; 16]).expect("it fits");
        }
        (bytes, [0, 72, 136, 200])
    }

    fn any(from: u64) -> Subscription {
        Subscription::new(Some(Position(from)), SubscribeAt::Any, true)
    }

    #[test]
    fn only_what_continues_moves_the_position() {
        let (bytes, [_, second, third, end]) = log();
        let mut subscription = any(0);
        let take = |subscription: &mut Subscription, from: u64, to: u64, previous| {
            subscription.on_frames(Position(from), Term(previous), &bytes[from as usize..to as usize])
        };
        assert!(take(&mut subscription, 0, second, 0).is_ok());
        assert!(matches!(take(&mut subscription, 0, second, 0), Err(Disconnect::Gap { .. })), "again");
        assert!(matches!(take(&mut subscription, third, end, 3), Err(Disconnect::Gap { .. })), "a gap");
        assert!(matches!(take(&mut subscription, second, end, 2), Err(Disconnect::History { .. })));
        assert!(matches!(take(&mut subscription, second, end - 8, 3), Err(Disconnect::Frame(_))), "torn");
        assert_eq!(subscription.position, Some(Position(second)));
        assert!(take(&mut subscription, second, second, 3).is_ok(), "news of the commit");
        assert!(take(&mut subscription, second, end, 3).is_ok());
        assert_eq!(subscription.position, Some(Position(end)));
    }

    #[test]
    fn a_flipped_bit_is_noticed_unless_asked_not_to() {
        let (mut bytes, _) = log();
        bytes[150] ^= 1;
        assert!(matches!(any(0).on_frames(Position(0), Term(0), &bytes), Err(Disconnect::Frame(_))));
        let mut trusting = Subscription::new(Some(Position(0)), SubscribeAt::Any, false);
        assert!(trusting.on_frames(Position(0), Term(0), &bytes).is_ok());
        assert_eq!(trusting.position, Some(Position(200)));
    }

    #[test]
    fn the_end_of_the_log_is_where_the_first_frames_begin() {
        let (bytes, [_, second, _, end]) = log();
        let mut subscription = Subscription::new(None, SubscribeAt::Any, true);
        assert!(subscription.on_frames(Position(second), Term(3), &bytes[second as usize..]).is_ok());
        assert_eq!(subscription.position, Some(Position(end)));
    }

    #[test]
    fn what_ends_a_subscription_and_what_does_not() {
        let none = EndReason::NoSuchPosition;
        assert_eq!(any(80).on_ended(EndReason::Trimmed, Position(800), 0), AfterEnd::Over);
        assert_eq!(any(80).on_ended(EndReason::Damaged, Position(80), 0), AfterEnd::Elsewhere);
        assert_eq!(any(80).on_ended(none, Position(80), 0), AfterEnd::Over, "no frame begins there");
        let mut subscription = any(80);
        assert_eq!(subscription.on_ended(none, Position(40), 5), AfterEnd::Elsewhere, "a node that lags?");
        assert_eq!(subscription.on_ended(none, Position(40), 5 + PATIENCE_NS), AfterEnd::Over);
        let (bytes, _) = log();
        let mut sure = any(0);
        sure.on_frames(Position(0), Term(0), &bytes).expect("good frames");
        for now_ns in [0, 100 * PATIENCE_NS] {
            assert_eq!(sure.on_ended(none, Position(40), now_ns), AfterEnd::Elsewhere, "it was read already");
        }
        let mut leader = Subscription::new(Some(Position(80)), SubscribeAt::Leader, true);
        assert_eq!(leader.on_ended(none, Position(40), 5), AfterEnd::AskAgain);
    }
}
