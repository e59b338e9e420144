//! Who is at the other end, proved without a secret on the wire.
//!
//! Both sides hold the secret of an identity. Each contributes a nonce; each MAC (HMAC-SHA-256, RFC 2104) covers a word for the side that makes it and
//! both messages that came before, nonces, ids and roles included. So a proof cannot be replayed, mirrored, or moved to another node or role. What follows the
//! handshake is not protected by it: that is for TLS, which wraps the connection from outside.
//!
//! Invariant: an initiator that has a secret does not go on without a proof of the acceptor, so nobody talks it out of asking for one.

use hmac::{Hmac, KeyInit, Mac};
use sequencer_wire::{ClusterId, NodeId};
use sha2::Sha256;

use crate::hello::{
    Challenge, Greeting, Hello, MAC_BYTES, RefusalCode, Refused, Role, Welcome, decode_greeting,
    encode_proof, transcript,
};

const INITIATOR: &[u8] = b"sequencer link 1, initiator";
const ACCEPTOR: &[u8] = b"sequencer link 1, acceptor";

/// One identity that may connect.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// Its name.
    pub identity: String,
    /// What both sides hold.
    pub secret: Vec<u8>,
    /// What it may be. An operator may also be a client.
    pub role: Role,
    /// Class of its sessions; owns schemas.
    pub class: u16,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credential({}, {:?}, class {})", self.identity, self.role, self.class)
    }
}

/// Who may connect.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// All credentials; with none of them everybody may, which has to be asked for.
    pub credentials: Vec<Credential>,
    /// Whether no proof is asked for.
    pub insecure: bool,
}

/// An initiator whose proof was right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduced {
    /// What it said of itself.
    pub hello: Hello,
    /// Class of its sessions.
    pub class: u16,
}

enum AcceptorState {
    Waiting,
    Challenged { hello: Hello, transcript: Vec<u8>, credential: Option<Credential> },
    Over,
}

/// The side that was connected to.
pub struct Acceptor {
    state: AcceptorState,
    cluster: ClusterId,
    node: NodeId,
    data: [u8; 16],
    payload_bytes_max: u32,
}

impl Acceptor {
    /// For one connection to this node.
    pub fn new(cluster: ClusterId, node: NodeId, data: [u8; 16], payload_bytes_max: u32) -> Self {
        Self { state: AcceptorState::Waiting, cluster, node, data, payload_bytes_max }
    }

    /// Takes in one message and appends the answer. `Some` when the initiator is known: the connection is open once what was appended has left.
    ///
    /// # Errors
    /// [`Refused`], to be told and the connection to be closed.
    pub fn receive(
        &mut self,
        message: &[u8],
        keys: &Keys,
        nonce: [u8; 32],
        into: &mut Vec<u8>,
    ) -> Result<Option<Introduced>, Refused> {
        let greeting = decode_greeting(message)?;
        match (std::mem::replace(&mut self.state, AcceptorState::Over), greeting) {
            (AcceptorState::Waiting, Greeting::Hello(hello)) => {
                if hello.cluster != self.cluster {
                    let text =
                        format!("this node belongs to cluster {}, not to {}", self.cluster, hello.cluster);
                    return Err(Refused::new(RefusalCode::WrongCluster, text));
                }
                let challenge = Challenge {
                    needs_proof: !keys.insecure,
                    cluster: self.cluster,
                    node: self.node,
                    data: self.data,
                    nonce,
                };
                let start = into.len();
                challenge.encode(into);
                let transcript = transcript(message, &into[start..]);
                let credential =
                    keys.credentials.iter().find(|known| known.identity == hello.identity).cloned();
                self.state = AcceptorState::Challenged { hello, transcript, credential };
                Ok(None)
            }
            (AcceptorState::Challenged { hello, transcript, credential }, Greeting::Proof(mac)) => {
                let (class, mac) = if keys.insecure {
                    (credential.map_or(0, |known| known.class), [0; MAC_BYTES])
                } else {
                    let known = credential
                        .filter(|known| verifies(&known.secret, INITIATOR, &transcript, &mac))
                        .filter(|known| {
                            known.role == hello.role
                                || (known.role == Role::Operator && hello.role == Role::Client)
                        })
                        .ok_or_else(|| {
                            let role: &str = hello.role.into();
                            let text = format!(
                                "{:?} may not connect as {role}: unknown identity, wrong secret, or another role; see `credentials` in the node's configuration",
                                hello.identity
                            );
                            Refused::new(RefusalCode::NotAuthorized, text)
                        })?;
                    (known.class, prove(&known.secret, ACCEPTOR, &transcript))
                };
                Welcome { mac, payload_bytes_max: self.payload_bytes_max }.encode(into);
                Ok(Some(Introduced { hello, class }))
            }
            (_, Greeting::Refused(refused)) => Err(refused),
            _ => Err(Refused::new(RefusalCode::Protocol, "a message of the handshake came out of turn")),
        }
    }
}

/// An acceptor that has welcomed us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Welcomed {
    /// Its id.
    pub node: NodeId,
    /// UUID of its data.
    pub data: [u8; 16],
    /// Bytes of the largest payload that it takes.
    pub payload_bytes_max: u32,
}

enum InitiatorState {
    Waiting { hello: Vec<u8> },
    Proved { challenge: Challenge, transcript: Vec<u8> },
    Over,
}

/// The side that connects.
pub struct Initiator {
    state: InitiatorState,
    cluster: ClusterId,
    /// The node that it must be, if that matters.
    expected: Option<NodeId>,
    secret: Option<Vec<u8>>,
}

impl Initiator {
    /// Appends the hello. `secret` is that of the identity named in it; `None` only where the connection may be insecure.
    pub fn new(hello: &Hello, expected: Option<NodeId>, secret: Option<Vec<u8>>, into: &mut Vec<u8>) -> Self {
        let start = into.len();
        hello.encode(into);
        let state = InitiatorState::Waiting { hello: into[start..].to_vec() };
        Self { state, cluster: hello.cluster, expected, secret }
    }

    /// Takes in one message and appends the answer. `Some` when the connection is open.
    ///
    /// # Errors
    /// [`Refused`], by the acceptor or by this side; the connection is to be closed.
    pub fn receive(&mut self, message: &[u8], into: &mut Vec<u8>) -> Result<Option<Welcomed>, Refused> {
        let greeting = decode_greeting(message)?;
        match (std::mem::replace(&mut self.state, InitiatorState::Over), greeting) {
            (InitiatorState::Waiting { hello }, Greeting::Challenge(challenge)) => {
                if challenge.cluster != self.cluster {
                    let text =
                        format!("the node belongs to cluster {}, not to {}", challenge.cluster, self.cluster);
                    return Err(Refused::new(RefusalCode::WrongCluster, text));
                }
                if let Some(expected) = self.expected
                    && expected != challenge.node
                {
                    let text = format!(
                        "the node at this address is {}, not {expected}; see `peers` in the configuration",
                        challenge.node
                    );
                    return Err(Refused::new(RefusalCode::WrongNode, text));
                }
                if !challenge.needs_proof && self.secret.is_some() {
                    let text = "the node asks for no proof, but this side has a secret and so expects one; one of the two is configured as insecure";
                    return Err(Refused::new(RefusalCode::NotAuthorized, text));
                }
                let transcript = transcript(&hello, message);
                let mac = match &self.secret {
                    Some(secret) => prove(secret, INITIATOR, &transcript),
                    None => [0; MAC_BYTES],
                };
                encode_proof(into, &mac);
                self.state = InitiatorState::Proved { challenge, transcript };
                Ok(None)
            }
            (InitiatorState::Proved { challenge, transcript }, Greeting::Welcome(welcome)) => {
                if let Some(secret) = &self.secret
                    && !verifies(secret, ACCEPTOR, &transcript, &welcome.mac)
                {
                    let text = "the node does not hold this identity's secret; do not send it anything";
                    return Err(Refused::new(RefusalCode::NotAuthorized, text));
                }
                let Challenge { node, data, .. } = challenge;
                Ok(Some(Welcomed { node, data, payload_bytes_max: welcome.payload_bytes_max }))
            }
            (_, Greeting::Refused(refused)) => Err(refused),
            _ => Err(Refused::new(RefusalCode::Protocol, "a message of the handshake came out of turn")),
        }
    }
}

fn mac_of(secret: &[u8], side: &[u8], transcript: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(side);
    mac.update(transcript);
    mac
}

fn prove(secret: &[u8], side: &[u8], transcript: &[u8]) -> [u8; MAC_BYTES] {
    mac_of(secret, side, transcript).finalize().into_bytes().into()
}

/// In constant time.
fn verifies(secret: &[u8], side: &[u8], transcript: &[u8], mac: &[u8; MAC_BYTES]) -> bool {
    mac_of(secret, side, transcript).verify_slice(mac).is_ok()
}
