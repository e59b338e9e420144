//! What clients ask, turned into requests to the core.
//!
//! Batches are admitted record by record, straight from the bytes that arrived. When the log has no room, or the leader is not ready yet, the
//! connection is *held*: nothing more is read from it, and the batch goes on where it stopped when there is room. So pressure reaches the sender
//! through the connection itself, and nothing has to be sent twice.

use sequencer_core::{Message, Now, Open, Outcome, Output, OutputEnd, Progress, Refusal, Request};
use sequencer_link::{
    Ask, Batch, BatchKind, Command, EndReason, LinkError, Role, Tell, decode_ask, decode_ask_again,
    encode_frames_head, encode_tell, peek_message,
};
use sequencer_storage::Disk;
use sequencer_wire::{Body, FrameKind, Position};

use crate::node::answers::{Answers, Asker};
use crate::node::egress::Subscription;
use crate::node::links::{ClientLink, Link, Stage};
use crate::replica::Replica;

/// Output that a client has not read above which it is not listened to any more.
const OUTPUT_BYTES_MAX: usize = 4 << 20;
/// Subscribing from here means: from the end of the committed log.
const FROM_END: Position = Position(u64::MAX);

/// How far a connection's input was taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intake {
    /// All whole messages.
    Done,
    /// Not all: there is no room.
    Held,
}

/// Takes in the whole messages that a client has sent.
///
/// # Errors
/// [`LinkError`]: the connection must be closed.
pub(crate) fn take_in<D: Disk>(
    index: usize,
    link: &mut Link,
    replica: &mut Replica<D>,
    answers: &mut Answers,
    now: Now,
) -> Result<Intake, LinkError> {
    let generation = link.generation;
    let Stage::Client(mut client) = std::mem::replace(&mut link.stage, Stage::Peer) else {
        unreachable!("only clients ask");
    };
    let mut outcome = Ok(Intake::Done);
    let mut input = std::mem::replace(&mut link.input, sequencer_link::InputBuffer::new(0));
    while link.output_bytes() <= OUTPUT_BYTES_MAX {
        let message = match peek_message(input.bytes()) {
            Ok(Some(message)) => message,
            Ok(None) => break,
            Err(error) => {
                outcome = Err(error);
                break;
            }
        };
        let decode = if link.is_held { decode_ask_again } else { decode_ask };
        let (head, ask) = match decode(message) {
            Ok(decoded) => decoded,
            Err(error) => {
                outcome = Err(error);
                break;
            }
        };
        let asker = Asker::Link { index, generation, tag: head.tag };
        match ask {
            Ask::Batch(batch) => match take_batch(&batch, asker, &mut client, replica, answers, now) {
                Ok(Intake::Done) => {}
                Ok(Intake::Held) => {
                    outcome = Ok(Intake::Held);
                    break;
                }
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            },
            Ask::Subscribe { from } => subscribe(from, head.tag, link, &mut client, replica),
            Ask::Unsubscribe => client.subscription = None,
            other => {
                let answer = match as_request(&other, &client) {
                    Ok(request) => replica.request(&request, now),
                    Err(refusal) => sequencer_core::Answer {
                        result: Err(refusal),
                        after: Position(0),
                        round: 0,
                        term: sequencer_wire::Term(0),
                    },
                };
                if is_hold(&answer.result) {
                    outcome = Ok(Intake::Held);
                    break;
                }
                answers.answer(asker, answer, None);
            }
        }
        let bytes = message.len();
        input.consume(bytes);
        link.is_held = false;
    }
    link.is_held = outcome == Ok(Intake::Held);
    link.input = input;
    link.stage = Stage::Client(client);
    outcome
}

/// Whether it is enough to wait.
fn is_hold(result: &Result<Outcome, Refusal>) -> bool {
    matches!(result, Err(Refusal::Backpressure { .. } | Refusal::NotReady { .. }))
}

fn take_batch<D: Disk>(
    batch: &Batch<'_>,
    asker: Asker,
    client: &mut ClientLink,
    replica: &mut Replica<D>,
    answers: &mut Answers,
    now: Now,
) -> Result<Intake, LinkError> {
    let skip = client.taken;
    let mut sequence = batch.first + u64::from(skip);
    let first = sequence;
    let mut last = None;
    let mut intake = Intake::Done;
    let mut refused = None;
    let mut wrong = None;
    for record in batch.records().skip(skip as usize) {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                wrong = Some(error);
                break;
            }
        };
        let request = match batch.kind {
            BatchKind::Publish => {
                let message = Message {
                    session: batch.source,
                    epoch: batch.epoch,
                    sequence,
                    cause: record.cause,
                    schema_id: record.schema_id,
                    schema_version: record.schema_version,
                    payload: record.payload,
                };
                if batch.extra == 0 {
                    Request::Message(message)
                } else {
                    Request::Query { service: batch.extra, message }
                }
            }
            BatchKind::Outputs => Request::Output(Output {
                service: batch.source,
                epoch: batch.epoch,
                k: sequence,
                cause: record.cause,
                schema_id: record.schema_id,
                schema_version: record.schema_version,
                payload: record.payload,
                replica: batch.extra,
            }),
        };
        let answer = replica.request(&request, now);
        let place = match &answer.result {
            Ok(Outcome::Admitted { at, .. }) => *at,
            Ok(Outcome::Repeat { first }) => *first,
            Ok(_) => Position(0),
            result if is_hold(result) => {
                intake = Intake::Held;
                break;
            }
            Err(_) => {
                refused = Some(answer);
                break;
            }
        };
        // Replicas read in the log what became of their outputs.
        if batch.kind == BatchKind::Publish {
            answers.place(place);
            last = Some(answer);
        }
        sequence += 1;
    }
    if let Some(last) = &last {
        answers.admitted(asker.clone(), batch.source, batch.epoch, first, (sequence - first) as u32, last);
    }
    client.taken = if intake == Intake::Held { (sequence - batch.first) as u32 } else { 0 };
    if let Some(refused) = refused {
        answers.answer(asker, refused, Some(sequence));
    }
    wrong.map_or(Ok(intake), Err)
}

fn subscribe<D: Disk>(
    from: Position,
    tag: u32,
    link: &mut Link,
    client: &mut ClientLink,
    replica: &Replica<D>,
) {
    let readable = replica.core().readable_end();
    let start = replica.status().log_start;
    let from = if from == FROM_END { readable } else { from };
    if from < start || from > readable {
        let reason = if from < start { EndReason::Trimmed } else { EndReason::NoSuchPosition };
        let position = if from < start { start } else { readable };
        encode_tell(link.tail(), tag, &Tell::Ended { reason, position });
        client.subscription = None;
    } else {
        client.subscription = Some(Subscription::new(tag, from, readable));
        if from == readable {
            // Who asks for the end learns where that is before anything comes after it.
            let previous = replica.core().terms().term_before(from);
            encode_frames_head(link.tail(), tag, from, previous, readable, 0);
        }
    }
}

/// What is neither a batch nor a subscription.
fn as_request<'a>(ask: &Ask<'a>, client: &ClientLink) -> Result<Request<'a>, Refusal> {
    match *ask {
        Ask::Open(open) => Ok(Request::Open(Open {
            name: open.name,
            class: client.class,
            group: open.group,
            timeout_ns: open.timeout_ns,
            resume: (open.resume != 0).then_some(open.resume),
        })),
        Ask::Close { session, epoch } => Ok(Request::Close { session, epoch }),
        Ask::KeepAlive { session, epoch } => Ok(Request::KeepAlive { session, epoch }),
        Ask::Command(command) => {
            let kind = FrameKind::try_from(command.kind).map_err(|_| Refusal::OutOfRange {
                field: "frame kind",
                found: u64::from(command.kind),
                least: 1,
                most: FrameKind::Retention as u64,
            })?;
            if let Some(request) = of_replica(kind, &command)? {
                return Ok(request);
            }
            if client.role != Role::Operator {
                return Err(Refusal::ReservedKind { kind });
            }
            Ok(Request::Encoded {
                kind,
                source_id: command.source_id,
                epoch: command.epoch,
                cause: command.cause,
                body: command.body,
            })
        }
        Ask::Batch(_) | Ask::Subscribe { .. } | Ask::Unsubscribe => unreachable!("handled before"),
    }
}

/// What replicas say beside their outputs. Whoever may send outputs may say it; `None` for every other kind.
fn of_replica<'a>(kind: FrameKind, command: &Command<'a>) -> Result<Option<Request<'a>>, Refusal> {
    let Command { source_id: service, epoch, sequence: k, cause, replica, body, .. } = *command;
    if !matches!(kind, FrameKind::OutputEnd | FrameKind::Progress | FrameKind::DivergenceReport) {
        return Ok(None);
    }
    Ok(match Body::decode(kind, body)? {
        Body::OutputEnd => Some(Request::OutputEnd(OutputEnd { service, epoch, k, at: cause, replica })),
        Body::Progress(progress) => {
            let digest = progress.digest;
            Some(Request::Progress(Progress { service, epoch, applied: cause, k, digest }))
        }
        Body::Divergence(report) => Some(Request::Divergence { service, epoch, k, cause, report }),
        _ => None,
    })
}
