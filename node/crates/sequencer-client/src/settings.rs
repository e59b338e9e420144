//! What a client is told about the cluster and about its session.

use std::time::Duration;

use sequencer_link::{ADDRESS_BYTES_MAX, IDENTITY_BYTES_MAX, Role, SECRET_BYTES_MIN};
use sequencer_wire::{ClusterId, NAME_BYTES_MAX};

use crate::error::ClientError;

/// Largest window of a session, in bytes; it is taken from memory when the session is opened.
pub const SESSION_WINDOW_BYTES_MAX: usize = 1 << 30;
/// Most records of a window.
const WINDOW_MESSAGES_MAX: usize = 1 << 24;

/// Where the cluster is, and who connects.
#[derive(Clone)]
pub struct Settings {
    /// The cluster; a node of another one is not talked to.
    pub cluster: ClusterId,
    /// `host:port` of some members, at least one. Names are resolved each time that a connection is made, by the system and in the caller's
    /// thread: a slow name server holds up [`crate::Client::poll`]. Numbers never wait.
    pub addresses: Vec<String>,
    /// Name of the credentials.
    pub identity: String,
    /// Their secret; `None` only for nodes that ask for none.
    pub secret: Option<Vec<u8>>,
    /// What to connect as: [`Role::Client`], or [`Role::Operator`] to send commands.
    pub role: Role,
    /// Silence of a node that owes an answer after which another one is tried; at first, for it doubles up to eightfold while nothing comes of that.
    pub answer_timeout: Duration,
}

impl Settings {
    /// A client without credentials and with a time-out of 2 s.
    pub fn new(cluster: ClusterId, addresses: Vec<String>) -> Self {
        Self {
            cluster,
            addresses,
            identity: String::new(),
            secret: None,
            role: Role::Client,
            answer_timeout: Duration::from_secs(2),
        }
    }

    /// Checks every bound.
    ///
    /// # Errors
    /// [`ClientError::Setting`] names the first field that is out of bounds.
    pub fn validate(&self) -> Result<(), ClientError> {
        let count = self.addresses.len() as u64;
        check("addresses", count, 1, 1024)?;
        for address in &self.addresses {
            check("the length of an address", address.len() as u64, 1, ADDRESS_BYTES_MAX as u64)?;
        }
        check("the length of the identity", self.identity.len() as u64, 0, IDENTITY_BYTES_MAX as u64)?;
        if let Some(secret) = &self.secret {
            check("the length of the secret", secret.len() as u64, SECRET_BYTES_MIN as u64, u64::MAX)?;
        }
        check("answer_timeout (ms)", millis(self.answer_timeout), 1, 3_600_000)
    }
}

impl std::fmt::Debug for Settings {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cluster, addresses, identity, role, .. } = self;
        write!(f, "Settings(cluster {cluster}, {addresses:?}, {identity:?} as {role:?})")
    }
}

/// What a session is called and how much it may have under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSettings {
    /// Its name; 1 to 64 bytes. Whoever opens the same name later fences this one off.
    pub name: String,
    /// Role group; 0 for none. See [`crate::Client::set_role`].
    pub group: u32,
    /// Log time without a sign of life after which the cluster takes it for idle. The nodes bound it (by default to 100 ms at least).
    pub timeout: Duration,
    /// Most records that are published and not yet acknowledged.
    pub window_messages: usize,
    /// Most bytes of them, each with 16 bytes more than its payload and rounded up to 8.
    pub window_bytes: usize,
    /// The id that the session had in an earlier process; 0 for none. The opening is refused if that session is gone.
    pub resume: u32,
}

impl SessionSettings {
    /// A session with a time-out of 10 s and a window of 1024 records and 2 MiB.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            group: 0,
            timeout: Duration::from_secs(10),
            window_messages: 1024,
            window_bytes: 2 << 20,
            resume: 0,
        }
    }

    /// Checks every bound.
    ///
    /// # Errors
    /// [`ClientError::Setting`] names the first field that is out of bounds.
    pub fn validate(&self) -> Result<(), ClientError> {
        check("the length of the session's name", self.name.len() as u64, 1, NAME_BYTES_MAX as u64)?;
        check("timeout (ms)", millis(self.timeout), 3, 86_400_000)?;
        check("window_messages", self.window_messages as u64, 1, WINDOW_MESSAGES_MAX as u64)?;
        check("window_bytes", self.window_bytes as u64, 64, SESSION_WINDOW_BYTES_MAX as u64)
    }
}

/// Which node serves a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubscribeAt {
    /// Any of the members that the settings name, over a connection of its own. The leader has the least work with this.
    Any,
    /// The leader, over the connection of the session.
    Leader,
    /// The node at this address and no other, over a connection of its own.
    Address(String),
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn check(field: &'static str, found: u64, least: u64, most: u64) -> Result<(), ClientError> {
    if (least..=most).contains(&found) {
        Ok(())
    } else {
        Err(ClientError::Setting { field, found, least, most })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_bounds_is_named() {
        let settings = Settings::new(ClusterId([1; 16]), vec!["localhost:7400".to_owned()]);
        assert!(settings.validate().is_ok());
        let field = |settings: Settings| match settings.validate() {
            Err(ClientError::Setting { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        assert_eq!(field(Settings { addresses: Vec::new(), ..settings.clone() }), "addresses");
        let short = Settings { secret: Some(vec![7; 31]), ..settings.clone() };
        assert_eq!(field(short), "the length of the secret");
        assert_eq!(field(Settings { answer_timeout: Duration::ZERO, ..settings }), "answer_timeout (ms)");
        let session = SessionSettings::new("");
        assert!(matches!(session.validate(), Err(ClientError::Setting { found: 0, .. })));
    }

    #[test]
    fn the_secret_is_not_shown() {
        let secret = Some(b"a secret of at least 32 bytes....".to_vec());
        let settings = Settings { secret, ..Settings::new(ClusterId([1; 16]), Vec::new()) };
        assert!(!format!("{settings:?}").contains("secret"));
    }
}
