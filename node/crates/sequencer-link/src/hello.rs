//! The four messages of the handshake, and the refusal.
//!
//! ```text
//! initiator                                   acceptor
//!   | hello: version, role, cluster, identity, nonce -> |
//!   | <- challenge: version, method, its own id, nonce  |
//!   | proof: MAC over both of the above --------------> |
//!   | <- welcome: its own MAC over both, limits         |      or, at any point, refused: code and sentence
//! ```

use sequencer_wire::bytes::{put, u16_at, u32_at};
use sequencer_wire::{ClusterId, NodeId};

use crate::error::LinkError;
use crate::message::{HEAD_BYTES, Kind};
use crate::message_decode::open;
use crate::message_encode::{begin, seal};

/// Version of the protocol between node and client. A node takes only its own.
pub(crate) const LINK_VERSION: u16 = 1;
/// Random bytes that each side contributes.
pub const NONCE_BYTES: usize = 32;
/// Least bytes of a secret: it is a key, not a password, because anybody may gather MACs made with it and try.
pub const SECRET_BYTES_MIN: usize = 32;
/// Longest name of an identity, in bytes.
pub const IDENTITY_BYTES_MAX: usize = 64;
/// Longest address, in bytes.
pub const ADDRESS_BYTES_MAX: usize = 255;
pub(crate) const MAC_BYTES: usize = 32;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::FromRepr, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
pub enum Role {
    /// Another member of the cluster; peer messages follow.
    Peer = 1,
    /// Sessions and subscriptions.
    Client = 2,
    /// The same, and commands.
    Operator = 3,
}

/// The initiator introduces itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// What for.
    pub role: Role,
    /// The cluster that it means.
    pub cluster: ClusterId,
    /// Its id, if it is a member.
    pub node: NodeId,
    /// UUID of its data, if it is a member.
    pub data: [u8; 16],
    /// Its random bytes.
    pub nonce: [u8; NONCE_BYTES],
    /// The name that its credentials go by; at most 64 bytes.
    pub identity: String,
    /// Where a member listens; at most 255 bytes.
    pub address: String,
}

/// The acceptor's answer to a hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Challenge {
    /// Whether a proof is asked for.
    pub needs_proof: bool,
    /// The cluster that it belongs to.
    pub cluster: ClusterId,
    /// Its id.
    pub node: NodeId,
    /// UUID of its data.
    pub data: [u8; 16],
    /// Its random bytes.
    pub nonce: [u8; NONCE_BYTES],
}

/// The connection is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Welcome {
    /// The acceptor's own proof; zeros when none was asked for.
    pub mac: [u8; MAC_BYTES],
    /// Bytes of the largest payload that the node takes.
    pub payload_bytes_max: u32,
}

/// Why a connection is refused; the numbers are those on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, strum::FromRepr, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
pub enum RefusalCode {
    /// The other side speaks another version of the protocol.
    UnsupportedVersion = 1,
    /// The other side belongs to another cluster.
    WrongCluster = 2,
    /// The identity is unknown, its proof is wrong, or it may not take this role. Which of them is not told.
    NotAuthorized = 3,
    /// The other side is not the member that it was taken for.
    WrongNode = 4,
    /// A member's data are not those in the list of members: its disk was replaced, or two clusters were mixed up.
    WrongData = 5,
    /// A member that was removed for good.
    Retired = 6,
    /// There are as many connections as are allowed.
    TooManyConnections = 7,
    /// What was said makes no sense at this point.
    Protocol = 8,
    /// The node is stopping.
    Stopping = 9,
}

/// A refusal with its sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// The reason.
    pub code: RefusalCode,
    /// One sentence: what, and what to do next.
    pub message: String,
}

impl Refused {
    pub(crate) fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// Appends the message that tells it.
    pub fn encode(&self, into: &mut Vec<u8>) {
        let start = into.len();
        let text = self.message.as_bytes();
        let at = begin(into, Kind::Refused, 0, 8 + text.len());
        into[at] = self.code as u8;
        put(into, at + 2, (text.len() as u16).to_le_bytes());
        into[at + 8..at + 8 + text.len()].copy_from_slice(text);
        seal(&mut into[start..]);
    }
}

impl From<LinkError> for Refused {
    fn from(error: LinkError) -> Self {
        Self::new(RefusalCode::Protocol, error.to_string())
    }
}

/// One message of the handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Greeting {
    Hello(Hello),
    Challenge(Challenge),
    Proof([u8; MAC_BYTES]),
    Welcome(Welcome),
    Refused(Refused),
}

impl Hello {
    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        let start = into.len();
        let (identity, address) = (self.identity.as_bytes(), self.address.as_bytes());
        assert!(
            identity.len() <= IDENTITY_BYTES_MAX && address.len() <= ADDRESS_BYTES_MAX,
            "settings bound these"
        );
        let at = begin(into, Kind::Hello, 0, 80 + identity.len() + address.len());
        put(into, at, LINK_VERSION.to_le_bytes());
        into[at + 2] = self.role as u8;
        put(into, at + 4, self.node.0.to_le_bytes());
        put(into, at + 8, self.cluster.0);
        put(into, at + 24, self.data);
        put(into, at + 40, self.nonce);
        put(into, at + 72, (identity.len() as u16).to_le_bytes());
        put(into, at + 74, (address.len() as u16).to_le_bytes());
        into[at + 80..at + 80 + identity.len()].copy_from_slice(identity);
        into[at + 80 + identity.len()..at + 80 + identity.len() + address.len()].copy_from_slice(address);
        seal(&mut into[start..]);
    }
}

impl Challenge {
    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        let start = into.len();
        let at = begin(into, Kind::Challenge, 0, 72);
        put(into, at, LINK_VERSION.to_le_bytes());
        into[at + 2] = u8::from(self.needs_proof);
        put(into, at + 4, self.node.0.to_le_bytes());
        put(into, at + 8, self.cluster.0);
        put(into, at + 24, self.data);
        put(into, at + 40, self.nonce);
        seal(&mut into[start..]);
    }
}

impl Welcome {
    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        let start = into.len();
        let at = begin(into, Kind::Welcome, 0, 40);
        put(into, at, self.mac);
        put(into, at + 32, self.payload_bytes_max.to_le_bytes());
        seal(&mut into[start..]);
    }
}

pub(crate) fn encode_proof(into: &mut Vec<u8>, mac: &[u8; MAC_BYTES]) {
    let start = into.len();
    let at = begin(into, Kind::Proof, 0, MAC_BYTES);
    put(into, at, *mac);
    seal(&mut into[start..]);
}

/// Decodes one message of the handshake. `message` is whole.
pub(crate) fn decode_greeting(message: &[u8]) -> Result<Greeting, Refused> {
    let (head, body) = open(message)?;
    let bytes = body.bytes;
    // Only the version stands where it stands for ever; the rest may move with it.
    if matches!(head.kind, Kind::Hello | Kind::Challenge) {
        body.at_least(8)?;
        let version = u16_at(bytes, 0);
        if version != LINK_VERSION {
            let text = format!(
                "the other side speaks version {version} of the protocol, this one {LINK_VERSION}; upgrade the older of the two"
            );
            return Err(Refused::new(RefusalCode::UnsupportedVersion, text));
        }
    }
    let greeting = match head.kind {
        Kind::Hello => {
            body.at_least(80)?;
            let (identity, address) = (usize::from(u16_at(bytes, 72)), usize::from(u16_at(bytes, 74)));
            if identity > IDENTITY_BYTES_MAX {
                return Err(body.wrong("the identity's length", identity as u64).into());
            }
            if address > ADDRESS_BYTES_MAX {
                return Err(body.wrong("the address's length", address as u64).into());
            }
            body.exactly(80 + identity + address)?;
            Greeting::Hello(Hello {
                role: Role::from_repr(bytes[2]).ok_or_else(|| body.wrong("the role", u64::from(bytes[2])))?,
                cluster: ClusterId(array(bytes, 8)),
                node: NodeId(u32_at(bytes, 4)),
                data: array(bytes, 24),
                nonce: array(bytes, 40),
                identity: body.text("the identity", 80, identity)?.to_owned(),
                address: body.text("the address", 80 + identity, address)?.to_owned(),
            })
        }
        Kind::Challenge => {
            body.exactly(72)?;
            Greeting::Challenge(Challenge {
                needs_proof: bytes[2] != 0,
                cluster: ClusterId(array(bytes, 8)),
                node: NodeId(u32_at(bytes, 4)),
                data: array(bytes, 24),
                nonce: array(bytes, 40),
            })
        }
        Kind::Proof => {
            body.exactly(MAC_BYTES)?;
            Greeting::Proof(array(bytes, 0))
        }
        Kind::Welcome => {
            body.exactly(40)?;
            Greeting::Welcome(Welcome { mac: array(bytes, 0), payload_bytes_max: u32_at(bytes, 32) })
        }
        Kind::Refused => {
            body.at_least(8)?;
            let length = usize::from(u16_at(bytes, 2));
            body.exactly(8 + length)?;
            let code = RefusalCode::from_repr(bytes[0])
                .ok_or_else(|| body.wrong("the code", u64::from(bytes[0])))?;
            Greeting::Refused(Refused::new(code, body.text("the sentence", 8, length)?))
        }
        other => return Err(LinkError::Kind { kind: other as u8 }.into()),
    };
    Ok(greeting)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

/// What both proofs are made over, but for the word that tells them apart.
pub(crate) fn transcript(hello: &[u8], challenge: &[u8]) -> Vec<u8> {
    debug_assert!(hello.len() >= HEAD_BYTES && challenge.len() >= HEAD_BYTES);
    [hello, challenge].concat()
}
