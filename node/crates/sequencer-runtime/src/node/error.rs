//! Why a node does not start, or stops.

use std::io;

use thiserror::Error;

use crate::error::ReplicaError;

/// See the module's description.
#[derive(Debug, Error)]
pub enum NodeError {
    /// A field of the configuration.
    #[error("{path}: {message}")]
    Config {
        /// The field.
        path: String,
        /// What is wrong, and what to do.
        message: String,
    },
    /// The log.
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    /// Something outside.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, on what.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The node has ended, or is about to.
    #[error("the node has stopped")]
    Stopped,
    /// The hot loop did not answer in time.
    #[error("the node did not answer within {0:?}; it is overloaded, or its disk does not answer")]
    TimedOut(std::time::Duration),
    /// The request to the node was not understood.
    #[error("the command is not understood: {0}")]
    Command(String),
}

impl NodeError {
    pub(crate) fn config(path: &str, message: impl Into<String>) -> Self {
        Self::Config { path: path.to_owned(), message: message.into() }
    }
}
