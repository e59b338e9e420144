//! Answers that wait until they may be told.
//!
//! Invariant: an answer leaves only when the core says that it may be told ([`Core::telling`]): what it rests on is committed, and what another
//! leader could contradict is confirmed by a majority. Answers that became void are dropped; the caller learns that the leader changed, and asks again.

use std::collections::VecDeque;
use std::sync::mpsc::SyncSender;

use sequencer_core::{Answer, Core, Outcome, Refusal, Telling};
use sequencer_link::{Done, Positions, Reply, Tell, encode_tell};
use sequencer_wire::{Position, Term};
use serde_json::{Map, Value};

use crate::node::links::Links;

/// Who is told.
#[derive(Clone)]
pub(crate) enum Asker {
    /// A connection.
    Link { index: usize, generation: u32, tag: u32 },
    /// The process that runs the node; nobody may be waiting any more.
    Local(SyncSender<Vec<u8>>),
}

/// Messages of one batch whose places are known.
#[derive(Debug, Clone, Copy)]
struct Admitted {
    session: u32,
    epoch: u32,
    first: u64,
    count: u32,
}

enum What {
    Admitted(Admitted),
    Reply { result: Result<Outcome, Refusal>, sequence: Option<u64> },
}

struct Waiting {
    asker: Asker,
    after: Position,
    round: u64,
    term: Term,
    what: What,
}

/// See the module's description.
#[derive(Default)]
pub(crate) struct Answers {
    /// In the order in which they were given; what they wait for is in that order too.
    commits: VecDeque<Waiting>,
    /// Those that wait for a round of heartbeats besides.
    rounds: VecDeque<Waiting>,
    /// Places of the messages in `commits`, 8 bytes each.
    places: VecDeque<u64>,
    scratch: Vec<u8>,
    /// Messages acknowledged so far.
    pub(crate) acknowledged: u64,
    /// Answers that became void.
    pub(crate) voided: u64,
}

impl Answers {
    /// Adds the place of the next message of the batch that [`Self::admitted`] will be told of.
    #[inline]
    pub(crate) fn place(&mut self, place: Position) {
        self.places.push_back(place.0);
    }

    /// The last `count` places are those of a session's messages from `first` on.
    pub(crate) fn admitted(
        &mut self,
        asker: Asker,
        session: u32,
        epoch: u32,
        first: u64,
        count: u32,
        last: &Answer,
    ) {
        let what = What::Admitted(Admitted { session, epoch, first, count });
        self.commits.push_back(Waiting { asker, after: last.after, round: 0, term: last.term, what });
    }

    /// Any other answer.
    pub(crate) fn answer(&mut self, asker: Asker, answer: Answer, sequence: Option<u64>) {
        let what = What::Reply { result: answer.result, sequence };
        let waiting = Waiting { asker, after: answer.after, round: answer.round, term: answer.term, what };
        if answer.round > 0 {
            self.rounds.push_back(waiting);
        } else {
            self.commits.push_back(waiting);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.commits.len() + self.rounds.len()
    }

    /// Tells what may be told now.
    pub(crate) fn tell(&mut self, core: &Core, links: &mut Links) {
        while let Some(waiting) = self.commits.front() {
            match waiting.telling(core) {
                Telling::Wait => break,
                telling => {
                    let waiting = self.commits.pop_front().expect("it is at the front");
                    self.finish(waiting, telling, links);
                }
            }
        }
        for _ in 0..self.rounds.len() {
            let waiting = self.rounds.pop_front().expect("they were counted");
            match waiting.telling(core) {
                Telling::Wait => self.rounds.push_back(waiting),
                telling => self.finish(waiting, telling, links),
            }
        }
    }

    fn finish(&mut self, waiting: Waiting, telling: Telling, links: &mut Links) {
        let is_void = telling == Telling::Void;
        if is_void {
            self.voided += 1;
        }
        match waiting.what {
            What::Admitted(batch) => {
                self.scratch.clear();
                for place in self.places.drain(..batch.count as usize) {
                    self.scratch.extend_from_slice(&place.to_le_bytes());
                }
                let Asker::Link { index, generation, tag } = waiting.asker else { return };
                if is_void {
                    return;
                }
                self.acknowledged += u64::from(batch.count);
                if let Some(link) = links.get_same(index, generation) {
                    let positions = Positions::new(&self.scratch);
                    let Admitted { session, epoch, first, .. } = batch;
                    encode_tell(link.tail(), tag, &Tell::Admitted { session, epoch, first, positions });
                }
            }
            What::Reply { result, sequence } => {
                if is_void {
                    // Whoever waits in this process has no other way to learn of it.
                    if let Asker::Local(reply) = waiting.asker {
                        let _gone =
                            reply.try_send(encode_reply(&Err(Refusal::NotLeader { leader: None }), None));
                    }
                    return;
                }
                let json = encode_reply(&result, sequence);
                match waiting.asker {
                    Asker::Link { index, generation, tag } => {
                        if let Some(link) = links.get_same(index, generation) {
                            encode_tell(link.tail(), tag, &Tell::Answer { json: &json });
                        }
                    }
                    // Whoever asked may have given up; the answer stands in the log.
                    Asker::Local(reply) => {
                        let _gone = reply.try_send(json);
                    }
                }
            }
        }
    }
}

impl Waiting {
    fn telling(&self, core: &Core) -> Telling {
        // The core looks at what the answer rests on, not at what it says.
        let result = Ok(Outcome::Alive);
        core.telling(&Answer { result, after: self.after, round: self.round, term: self.term })
    }
}

/// What came of a request, as the JSON of a [`Reply`].
pub(crate) fn encode_reply(result: &Result<Outcome, Refusal>, sequence: Option<u64>) -> Vec<u8> {
    let reply = match result {
        Ok(outcome) => Reply::Done(match *outcome {
            Outcome::Admitted { at, timestamp_ns } => Done::Admitted { position: at.0, timestamp_ns },
            Outcome::Opened { session, epoch, last_sequence, is_resumed, at } => {
                Done::Opened { session, epoch, last_sequence, is_resumed, position: at.0 }
            }
            Outcome::Repeat { first } => Done::Admitted { position: first.0, timestamp_ns: 0 },
            Outcome::AlreadyAdmitted { last } => Done::AlreadyAdmitted { last },
            Outcome::Alive => Done::Alive,
            Outcome::Voted { votes, needed } => Done::Voted { votes, needed },
        }),
        Err(refusal) => Reply::Refused {
            refusal: refusal.kind().to_owned(),
            message: refusal.to_string(),
            is_retryable: refusal.is_retryable(),
            sequence,
            facts: facts(refusal),
        },
    };
    serde_json::to_vec(&reply).expect("a reply holds nothing that JSON cannot say")
}

/// The fields of a refusal by name.
fn facts(refusal: &Refusal) -> Map<String, Value> {
    match serde_json::to_value(refusal) {
        // {"sequence_gap": {"session": 1, ...}}; one without fields is a string.
        Ok(Value::Object(mut named)) => match named.remove(refusal.kind()) {
            Some(Value::Object(fields)) => fields,
            _ => Map::new(),
        },
        _ => Map::new(),
    }
}
