//! What a node does about its clients' requests: they are taken in while there is room, and answered once they may be.

use sequencer_core::{Message, Open, Outcome, Refusal, Request, Telling};
use sequencer_link::{
    Ask, Batch, Done, EndReason, Leader, Positions, Reply, Tell, decode_ask, encode_tell, peek_message,
};
use sequencer_wire::Position;

use super::node::{ModelNode, Waiting, What, at};

impl ModelNode {
    pub(super) fn take_all(&mut self) {
        for index in 0..self.connections.len() {
            let input = std::mem::take(&mut self.connections[index].input);
            let mut used = 0;
            while let Some(message) = peek_message(&input[used..]).expect("a good length") {
                if !self.take(index, message) {
                    break;
                }
                used += message.len();
            }
            self.connections[index].input = input[used..].to_vec();
        }
    }

    /// Takes in one message; false when there is no room for it now.
    fn take(&mut self, index: usize, message: &[u8]) -> bool {
        let (head, ask) = decode_ask(message).expect("a client sends good messages");
        let connection = self.connections[index].id;
        let request = match ask {
            Ask::Batch(batch) => return self.take_batch(index, head.tag, &batch),
            Ask::Subscribe { from } => {
                self.subscribe(index, head.tag, from);
                return true;
            }
            Ask::Unsubscribe => {
                self.connections[index].subscription = None;
                return true;
            }
            Ask::Open(open) => Request::Open(Open {
                name: open.name,
                class: 1,
                group: open.group,
                timeout_ns: open.timeout_ns,
                resume: (open.resume != 0).then_some(open.resume),
            }),
            Ask::Close { session, epoch } => Request::Close { session, epoch },
            Ask::KeepAlive { session, epoch } => Request::KeepAlive { session, epoch },
            Ask::Command(command) => Request::Encoded {
                kind: command.kind.try_into().expect("a kind"),
                source_id: command.source_id,
                epoch: command.epoch,
                cause: command.cause,
                body: command.body,
            },
        };
        let answer = self.core.request(&request, at(self.now_ns));
        if is_hold(&answer.result) {
            return false;
        }
        let what = What::Reply { result: answer.result, sequence: None };
        let waiting = Waiting { connection, tag: head.tag, answer, what };
        if answer.round > 0 {
            self.rounds.push_back(waiting)
        } else {
            self.commits.push_back(waiting)
        }
        true
    }

    fn take_batch(&mut self, index: usize, tag: u32, batch: &Batch<'_>) -> bool {
        let (connection, taken) = (self.connections[index].id, self.connections[index].taken);
        let first = batch.first + taken as u64;
        let (mut places, mut last, mut refused, mut is_held) = (Vec::new(), None, None, false);
        for (record, sequence) in batch.records().skip(taken).zip(first..) {
            let record = record.expect("a good record");
            let message = Message {
                session: batch.source,
                epoch: batch.epoch,
                sequence,
                cause: record.cause,
                schema_id: record.schema_id,
                schema_version: record.schema_version,
                payload: record.payload,
            };
            let answer = self.core.request(&Request::Message(message), at(self.now_ns));
            match answer.result {
                Ok(Outcome::Admitted { at: place, .. }) | Ok(Outcome::Repeat { first: place }) => {
                    places.push(place.0);
                    last = Some(answer);
                }
                Ok(_) => {
                    places.push(0);
                    last = Some(answer);
                }
                result if is_hold(&result) => {
                    is_held = true;
                    break;
                }
                Err(_) => {
                    refused = Some((answer, sequence));
                    break;
                }
            }
        }
        let connection_state = &mut self.connections[index];
        connection_state.taken = if is_held { taken + places.len() } else { 0 };
        if let Some(answer) = last {
            let what = What::Admitted { session: batch.source, epoch: batch.epoch, first, places };
            self.commits.push_back(Waiting { connection, tag, answer, what });
        }
        if let Some((answer, sequence)) = refused {
            let what = What::Reply { result: answer.result, sequence: Some(sequence) };
            let waiting = Waiting { connection, tag, answer, what };
            if answer.round > 0 { self.rounds.push_back(waiting) } else { self.commits.push_back(waiting) }
        }
        !is_held
    }

    fn subscribe(&mut self, index: usize, tag: u32, from: Position) {
        let readable = self.core.readable_end();
        let from = if from.0 == u64::MAX { readable } else { from };
        let connection = &mut self.connections[index];
        if from > readable {
            let tell = Tell::Ended { reason: EndReason::NoSuchPosition, position: readable };
            encode_tell(&mut connection.output, tag, &tell);
        } else {
            connection.subscription = Some((tag, from));
        }
    }

    pub(super) fn tell(&mut self) {
        while let Some(waiting) = self.commits.pop_front() {
            if self.core.telling(&waiting.answer) == Telling::Wait {
                self.commits.push_front(waiting);
                break;
            }
            self.finish(waiting);
        }
        for waiting in std::mem::take(&mut self.rounds) {
            if self.core.telling(&waiting.answer) == Telling::Wait {
                self.rounds.push_back(waiting);
            } else {
                self.finish(waiting);
            }
        }
        let view = (self.core.leader().0, self.core.admits());
        let readable = self.core.readable_end();
        for connection in &mut self.connections {
            if connection.told.replace(view) != Some(view) {
                let id = self.core.leader().1;
                let leader = Leader { term: view.0, id, address: "", is_here: view.1 };
                encode_tell(&mut connection.output, 0, &Tell::Leader(leader));
            }
            if let Some((tag, from)) = connection.subscription.filter(|(_, from)| *from < readable) {
                let frames = &self.stored[from.0 as usize..readable.0 as usize];
                let previous = self.core.terms().term_before(from);
                encode_tell(
                    &mut connection.output,
                    tag,
                    &Tell::Frames { from, previous, commit: readable, frames },
                );
                connection.subscription = Some((tag, readable));
            }
        }
    }

    fn finish(&mut self, waiting: Waiting) {
        let is_void = self.core.telling(&waiting.answer) == Telling::Void;
        let found = self.connections.iter_mut().find(|connection| connection.id == waiting.connection);
        let Some(connection) = found.filter(|_| !is_void) else { return };
        match waiting.what {
            What::Admitted { session, epoch, first, places } => {
                let bytes: Vec<u8> = places.iter().flat_map(|place| place.to_le_bytes()).collect();
                let positions = Positions::new(&bytes);
                let tell = Tell::Admitted { session, epoch, first, positions };
                encode_tell(&mut connection.output, waiting.tag, &tell);
            }
            What::Reply { result, sequence } => {
                let json = serde_json::to_vec(&reply(&result, sequence)).expect("it can be said");
                encode_tell(&mut connection.output, waiting.tag, &Tell::Answer { json: &json });
            }
        }
    }
}

fn is_hold(result: &Result<Outcome, Refusal>) -> bool {
    matches!(result, Err(Refusal::Backpressure { .. } | Refusal::NotReady { .. }))
}

fn reply(result: &Result<Outcome, Refusal>, sequence: Option<u64>) -> Reply {
    match *result {
        Ok(Outcome::Admitted { at, timestamp_ns }) => {
            Reply::Done(Done::Admitted { position: at.0, timestamp_ns })
        }
        Ok(Outcome::Opened { session, epoch, last_sequence, is_resumed, at }) => {
            Reply::Done(Done::Opened { session, epoch, last_sequence, is_resumed, position: at.0 })
        }
        Ok(Outcome::Alive) => Reply::Done(Done::Alive),
        Ok(ref other) => panic!("{other:?} is no answer to a request"),
        Err(ref refusal) => {
            let named = serde_json::to_value(refusal).expect("it can be said");
            let facts =
                named.get(refusal.kind()).and_then(|facts| facts.as_object().cloned()).unwrap_or_default();
            Reply::Refused {
                refusal: refusal.kind().to_owned(),
                message: refusal.to_string(),
                is_retryable: refusal.is_retryable(),
                sequence,
                facts,
            }
        }
    }
}
