//! How a node is configured, as it is handed over by whoever starts it: JSON, whose fields are those of the TOML file that people write.
//! `docs/reference/node-config.md` says what each field means; defaults are filled in before it gets here, so nothing is optional that
//! need not be.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use sequencer_core::Config;
use sequencer_link::{ADDRESS_BYTES_MAX, Credential, IDENTITY_BYTES_MAX, Keys, Role, SECRET_BYTES_MIN};
use sequencer_storage::{Durability, Options};
use sequencer_wire::{ClusterId, NodeId};
use serde::Deserialize;

use crate::node::error::NodeError;
use crate::settings::Settings;

/// Bytes of one block of the log buffer, and so about those of the largest frame.
const BLOCK_BYTES_MIN: u64 = 64 << 10;
/// A leader under load tells followers of a commit with the messages that follow: about two round trips.
const COMMIT_DELAY_NS: u64 = 100_000;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodeConfig {
    pub(crate) cluster: Uuid,
    pub(crate) node: u32,
    pub(crate) data: Uuid,
    pub(crate) directory: PathBuf,
    pub(crate) listen: String,
    pub(crate) advertise: String,
    pub(crate) durability: DurabilityName,
    pub(crate) idle: Idle,
    pub(crate) insecure: bool,
    pub(crate) founders: Vec<Founder>,
    pub(crate) peers: Vec<PeerAddress>,
    pub(crate) credentials: Vec<CredentialFile>,
    pub(crate) limits: Limits,
    pub(crate) timing: Timing,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Founder {
    pub(crate) id: u32,
    pub(crate) data: Uuid,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PeerAddress {
    pub(crate) id: u32,
    pub(crate) address: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CredentialFile {
    pub(crate) name: String,
    pub(crate) secret_file: PathBuf,
    pub(crate) class: u16,
    pub(crate) role: RoleName,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    pub(crate) sessions: usize,
    pub(crate) connections: usize,
    pub(crate) segment_bytes: u64,
    pub(crate) reserve_bytes: u64,
    pub(crate) snapshot_every_bytes: u64,
    pub(crate) retain_bytes: u64,
    pub(crate) buffer_bytes: u64,
    pub(crate) uncommitted_bytes: u64,
    pub(crate) inflight_bytes: u64,
    pub(crate) payload_bytes: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Timing {
    pub(crate) election_timeout_ms: u64,
    pub(crate) heartbeat_ms: u64,
}

/// How the hot loop waits for work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Idle {
    /// It sleeps until something happens.
    Wait,
    /// It looks again and again, lets others run in between, and sleeps after a tenth of a millisecond without work.
    Yield,
    /// It looks again and again. Give it a core of its own.
    Spin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DurabilityName {
    Fsync,
    Memory,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RoleName {
    Peer,
    Client,
    Operator,
}

/// Sixteen bytes, written as people write UUIDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Uuid(pub(crate) [u8; 16]);

impl<'de> Deserialize<'de> for Uuid {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || serde::de::Error::custom(format!("{text:?} is not a UUID of 32 hexadecimal digits"));
        parse_uuid(&text).map(Self).ok_or_else(wrong)
    }
}

/// The bytes of a UUID; hyphens may stand anywhere.
pub fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let digits: Option<Vec<u8>> =
        text.chars().filter(|c| *c != '-').map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
    let digits = digits.filter(|digits| digits.len() == 32)?;
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    Some(bytes)
}

/// A UUID as people write it.
pub(crate) fn show_uuid(bytes: [u8; 16]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

impl NodeConfig {
    /// # Errors
    /// [`NodeError::Config`] names the field.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, NodeError> {
        let config: Self = serde_json::from_slice(json)
            .map_err(|error| NodeError::config("configuration", error.to_string()))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), NodeError> {
        let bounded = |path: &'static str, text: &str, most: usize| {
            if text.len() <= most {
                Ok(())
            } else {
                Err(NodeError::config(path, format!("it has {} bytes; {most} are allowed", text.len())))
            }
        };
        bounded("advertise", self.advertise(), ADDRESS_BYTES_MAX)?;
        for peer in &self.peers {
            bounded("peers.address", &peer.address, ADDRESS_BYTES_MAX)?;
        }
        for credential in &self.credentials {
            bounded("credentials.name", &credential.name, IDENTITY_BYTES_MAX)?;
        }
        if let Some(own) = self.founders.iter().find(|founder| founder.id == self.node)
            && own.data != self.data
        {
            return Err(NodeError::config("data", "it differs from this node's entry in `founders`"));
        }
        if self.limits.connections == 0 {
            return Err(NodeError::config("limits.connections", "it must be above 0"));
        }
        Ok(())
    }

    /// Where others are told that this node listens.
    pub(crate) fn advertise(&self) -> &str {
        if self.advertise.is_empty() { &self.listen } else { &self.advertise }
    }

    pub(crate) fn cluster_id(&self) -> ClusterId {
        ClusterId(self.cluster.0)
    }

    /// Where the log is. The directory itself holds what is not the log's.
    pub(crate) fn log_directory(&self) -> PathBuf {
        self.directory.join("log")
    }

    pub(crate) fn storage(&self) -> Result<Options, NodeError> {
        Ok(Options {
            cluster: self.cluster_id(),
            node: NodeId(self.node),
            segment_bytes: self.limits.segment_bytes,
            durability: match self.durability {
                DurabilityName::Fsync => Durability::Fsync,
                DurabilityName::Memory => Durability::Memory,
            },
            reserve_bytes: self.limits.reserve_bytes,
            boot_id: read_boot_id()?,
        })
    }

    pub(crate) fn settings(&self, seed: u64) -> Result<Settings, NodeError> {
        let founders = self.founders.iter().map(|founder| NodeId(founder.id)).collect();
        let mut core = Config::new(self.cluster_id(), NodeId(self.node), founders, seed);
        core.identities = self.founders.iter().map(|founder| (NodeId(founder.id), founder.data.0)).collect();
        core.election_timeout_ns = self.timing.election_timeout_ms.saturating_mul(1_000_000);
        core.heartbeat_ns = self.timing.heartbeat_ms.saturating_mul(1_000_000);
        // A loop that sleeps cannot wake in less than a millisecond, so it does not wait.
        core.commit_delay_ns = match self.idle {
            Idle::Wait => 0,
            Idle::Yield | Idle::Spin => COMMIT_DELAY_NS.min(core.heartbeat_ns),
        };
        let frame_bytes = sequencer_wire::frame_bytes(self.limits.payload_bytes.min(1 << 30) as usize) as u64;
        let block_bytes = frame_bytes.max(BLOCK_BYTES_MIN);
        core.block_bytes = block_bytes as usize;
        core.blocks = (self.limits.buffer_bytes / block_bytes) as usize;
        core.uncommitted_bytes_max = self.limits.uncommitted_bytes;
        core.inflight_bytes_max = self.limits.inflight_bytes;
        core.sessions_max = self.limits.sessions;
        Ok(Settings {
            core,
            storage: self.storage()?,
            snapshot_every_bytes: self.limits.snapshot_every_bytes,
        })
    }

    /// Reads the secrets.
    pub(crate) fn keys(&self) -> Result<Keys, NodeError> {
        let read = |file: &CredentialFile| {
            let secret = read_secret(&file.secret_file)?;
            let role = match file.role {
                RoleName::Peer => Role::Peer,
                RoleName::Client => Role::Client,
                RoleName::Operator => Role::Operator,
            };
            Ok(Credential { identity: file.name.clone(), secret, role, class: file.class })
        };
        let credentials = self.credentials.iter().map(read).collect::<Result<Vec<_>, NodeError>>()?;
        let is_peer = |credential: &Credential| credential.role == Role::Peer;
        if !self.insecure && !credentials.iter().any(is_peer) {
            let text = "no credential has the role \"peer\", so members could not prove themselves to each other; add one, or set `insecure = true` where nobody else can connect";
            return Err(NodeError::config("credentials", text));
        }
        Ok(Keys { credentials, insecure: self.insecure })
    }
}

fn read_secret(path: &Path) -> Result<Vec<u8>, NodeError> {
    let shown = path.display();
    let secret = std::fs::read(path).map_err(|error| {
        NodeError::config("credentials.secret_file", format!("{shown} cannot be read: {error}"))
    })?;
    // Editors end a file with a line break; it is no part of the secret.
    let secret = secret.trim_ascii().to_vec();
    if secret.len() < SECRET_BYTES_MIN {
        let text = format!(
            "{shown} holds {} bytes; at least {SECRET_BYTES_MIN} random ones are needed",
            secret.len()
        );
        return Err(NodeError::config("credentials.secret_file", text));
    }
    Ok(secret)
}

/// The first address that a name stands for. May block while it is looked up.
pub(crate) fn resolve(address: &str) -> Option<SocketAddr> {
    address.to_socket_addrs().ok()?.next()
}

/// Changes when the machine restarts.
fn read_boot_id() -> Result<[u8; 16], NodeError> {
    const FILE: &str = "/proc/sys/kernel/random/boot_id";
    let text =
        std::fs::read_to_string(FILE).map_err(|source| NodeError::Io { what: FILE.to_owned(), source })?;
    parse_uuid(text.trim())
        .ok_or_else(|| NodeError::config("boot_id", format!("{FILE} holds no UUID: {text:?}")))
}
