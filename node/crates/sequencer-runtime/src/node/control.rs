//! What the process around the hot loop asks of it: how it stands, and commands.

use std::sync::mpsc::SyncSender;

use sequencer_core::{
    Answer, MemberChange, Message, Now, Open, Outcome, Refusal, Request, Role, TransferError,
};
use sequencer_storage::Disk;
use sequencer_wire::{LogEnd, MemberRole, NodeId, Position, Term};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::ReplicaError;
use crate::node::answers::{Answers, Asker, encode_reply};
use crate::node::config::{NodeConfig, parse_uuid, show_uuid};
use crate::node::error::NodeError;
use crate::node::links::{Links, Stage};
use crate::node::peers::Peers;
use crate::replica::Replica;

/// Class of the sessions that hold leases: above those that credentials should use.
const LEASE_CLASS: u16 = u16::MAX;

/// One thing asked of the hot loop.
pub(crate) enum Control {
    /// How it stands, as JSON.
    Status(SyncSender<Vec<u8>>),
    /// A command; the answer is JSON.
    Command(Box<Command>, SyncSender<Vec<u8>>),
    /// The end.
    Stop { hand_over: bool },
}

/// A command and on whose authority.
#[derive(Debug, Deserialize)]
pub(crate) struct Command {
    #[serde(flatten)]
    what: Do,
    /// The lease under which it is given.
    #[serde(default)]
    lease: Option<Lease>,
}

/// A session of the log whose epoch is that of the lease, and whose next sequence is the operation's id.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Lease {
    session: u32,
    epoch: u32,
    operation: u64,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Do {
    Transfer { to: Option<u32> },
    MemberAdd { id: u32, data: String },
    MemberPromote { id: u32 },
    MemberRemove { id: u32 },
    Trim { floor: u64 },
    GiveUpClaim { term: u64, position: u64 },
    LeaseTake { name: String, timeout_ms: u64 },
}

impl Command {
    pub(crate) fn parse(json: &[u8]) -> Result<Self, NodeError> {
        serde_json::from_slice(json).map_err(|error| NodeError::Command(error.to_string()))
    }
}

/// Carries a command out. Where it changes the log, the answer is told when that is committed.
pub(crate) fn carry_out<D: Disk>(
    command: &Command,
    reply: SyncSender<Vec<u8>>,
    replica: &mut Replica<D>,
    answers: &mut Answers,
    links: &mut Links,
    now: Now,
) -> Result<(), ReplicaError> {
    // Nobody may be waiting for the answer any more; what was asked is done all the same.
    let tell = |json: Vec<u8>| {
        let _gone = reply.try_send(json);
    };
    if let Some(lease) = command.lease {
        match replica.core().check_message(&lease.message()) {
            Ok(None) => {}
            Ok(Some(outcome)) => {
                // It was carried out before; only the answer was lost.
                let after = replica.status().end.position;
                let answer = Answer { result: Ok(outcome), after, round: 0, term: replica.status().term };
                answers.answer(Asker::Local(reply), answer, None);
                return Ok(());
            }
            Err(refusal) => {
                tell(encode_reply(&Err(refusal), None));
                return Ok(());
            }
        }
    }
    let answer = match &command.what {
        Do::Transfer { to } => {
            let target = to.map(NodeId).or_else(|| heir(replica));
            let outcome = match target {
                Some(target) => replica.transfer_leadership(target, now, links)?,
                None => Err(TransferError::NotLeader { leader: replica.status().leader }),
            };
            tell(transfer_reply(&outcome, target));
            return Ok(());
        }
        Do::GiveUpClaim { term, position } => {
            let end = LogEnd { term: Term(*term), position: Position(*position) };
            let outcome = replica.give_up_claim(end, now, links)?;
            tell(match outcome {
                Ok(()) => json!({"outcome": "given_up"}).to_string().into_bytes(),
                Err(error) => refused("claim_mismatch", &error.to_string()),
            });
            return Ok(());
        }
        Do::MemberAdd { id, data } => match parse_uuid(data) {
            Some(data) => {
                replica.request(&Request::Member(MemberChange::AddLearner { id: NodeId(*id), data }), now)
            }
            None => {
                tell(refused("malformed", &format!("{data:?} is not a UUID of 32 hexadecimal digits")));
                return Ok(());
            }
        },
        Do::MemberPromote { id } => {
            replica.request(&Request::Member(MemberChange::Promote { id: NodeId(*id) }), now)
        }
        Do::MemberRemove { id } => {
            replica.request(&Request::Member(MemberChange::Remove { id: NodeId(*id) }), now)
        }
        Do::Trim { floor } => replica.request(&Request::Trim { floor: Position(*floor) }, now),
        Do::LeaseTake { name, timeout_ms } => {
            let open = Open {
                name,
                class: LEASE_CLASS,
                group: 0,
                timeout_ns: timeout_ms.saturating_mul(1_000_000),
                resume: None,
            };
            replica.request(&Request::Open(open), now)
        }
    };
    if let (Some(lease), Ok(Outcome::Admitted { .. } | Outcome::AlreadyAdmitted { .. })) =
        (command.lease, &answer.result)
    {
        // Said after the deed: if only the deed is committed, the operation is tried again, and finds it done. The other way round it would be lost.
        let noted = replica.request(&Request::Message(lease.message()), now);
        answers.answer(Asker::Local(reply), Answer { after: noted.after.max(answer.after), ..answer }, None);
        return Ok(());
    }
    answers.answer(Asker::Local(reply), answer, None);
    Ok(())
}

impl Lease {
    fn message(&self) -> Message<'static> {
        Message {
            session: self.session,
            epoch: self.epoch,
            sequence: self.operation,
            cause: Position(0),
            schema_id: 0,
            schema_version: 0,
            payload: b"",
        }
    }
}

/// The voter that is furthest ahead.
pub(crate) fn heir<D: Disk>(replica: &Replica<D>) -> Option<NodeId> {
    let core = replica.core();
    let others = core.members();
    let voters = others
        .as_slice()
        .iter()
        .filter(|member| member.role == MemberRole::Voter && member.id != core.config().id);
    voters.map(|member| member.id).max_by_key(|id| core.acknowledged(*id))
}

fn transfer_reply(outcome: &Result<(), TransferError>, target: Option<NodeId>) -> Vec<u8> {
    match outcome {
        Ok(()) => json!({"outcome": "transfer_begun", "to": target}).to_string().into_bytes(),
        Err(TransferError::NotLeader { leader }) => {
            encode_reply(&Err(Refusal::NotLeader { leader: *leader }), None)
        }
        Err(error @ TransferError::NotAVoter { .. }) => refused("not_a_member", &error.to_string()),
        Err(error @ TransferError::UnderWay { .. }) => refused("handing_over", &error.to_string()),
    }
}

fn refused(kind: &str, message: &str) -> Vec<u8> {
    json!({"refusal": kind, "message": message, "is_retryable": false, "facts": {}}).to_string().into_bytes()
}

/// How the node stands, as JSON; `docs/reference/admin-openapi.json` describes it.
pub(crate) fn status<D: Disk>(
    config: &NodeConfig,
    replica: &Replica<D>,
    peers: &Peers,
    links: &Links,
    disk: (u64, bool),
    uptime_ns: u64,
) -> Vec<u8> {
    let core = replica.core();
    let status = core.status();
    let role = match status.role {
        Role::Leader => "leader",
        Role::Follower => "follower",
        Role::PreCandidate => "pre_candidate",
        Role::Candidate => "candidate",
        Role::Halted => "halted",
    };
    let members: Vec<Value> = core
        .members()
        .as_slice()
        .iter()
        .map(|member| {
            let is_self = member.id.0 == config.node;
            json!({
                "id": member.id,
                "role": if member.role == MemberRole::Voter { "voter" } else { "learner" },
                "data": show_uuid(member.data),
                "address": Some(peers.address_of(member.id)).filter(|address| !address.is_empty()),
                "matched": if is_self { Some(status.durable.position) } else { core.acknowledged(member.id) },
                "is_connected": is_self || links.is_connected(member.id),
            })
        })
        .collect();
    let is_client = |link: &&crate::node::links::Link| matches!(link.stage, Stage::Client(_));
    let subscribers = links
        .iter()
        .filter(|(_, link)| matches!(&link.stage, Stage::Client(client) if client.subscription.is_some()))
        .count();
    let is_caught_up = match status.role {
        Role::Leader => core.admits(),
        // What is committed may be known before it has arrived.
        Role::Follower => {
            status.leader.is_some() && status.claim.is_none() && status.durable.position >= status.commit
        }
        _ => false,
    };
    json!({
        "cluster": show_uuid(config.cluster.0),
        "node": config.node,
        "data": show_uuid(config.data.0),
        "role": role,
        "term": status.term,
        "leader": status.leader,
        "leader_address": status.leader.map(|id| peers.address_of(id)).filter(|address| !address.is_empty()),
        "admits": core.admits(),
        "positions": {
            "start": status.log_start,
            "snapshot": status.snapshot,
            "commit": status.commit,
            "durable": status.durable.position,
            "end": status.end.position,
        },
        "durability": config.durability,
        "idle": config.idle,
        "insecure": config.insecure,
        "is_voter": status.is_voter,
        "is_caught_up": is_caught_up,
        "claim": status.claim.map(|claim| json!({
            "term": claim.end.term, "position": claim.end.position, "damaged": claim.damaged,
        })),
        "members": members,
        "handing_over_to": status.handing_over_to,
        "clock": {"held_back_ns": status.clock_held_back_ns, "ahead_ns": status.clock_ahead_ns},
        "disk": {"free_bytes": disk.0, "is_low": disk.1},
        "sessions": core.ledger().session_count(),
        "connections": links.iter().map(|(_, link)| link).filter(is_client).count(),
        "subscribers": subscribers,
        "uptime_s": uptime_ns as f64 / 1e9,
    })
    .to_string()
    .into_bytes()
}
