//! Why a session was closed.

/// Why a session was closed. The number is the byte in the frame and never changes its meaning.
#[repr(u8)]
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CloseReason {
    /// Its client asked for it; it is forgotten.
    Closed = 0,
    /// It was not heard for its time-out; it is kept and can be opened again.
    Expired = 1,
    /// Room was needed and it had been idle longest; it is forgotten.
    Evicted = 2,
    /// An operator ended it; it is forgotten.
    Revoked = 3,
}

impl CloseReason {
    /// Every reason, in the order of their numbers.
    pub const ALL: [CloseReason; 4] =
        [CloseReason::Closed, CloseReason::Expired, CloseReason::Evicted, CloseReason::Revoked];

    /// The name used in logs, metrics and documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            CloseReason::Closed => "closed",
            CloseReason::Expired => "expired",
            CloseReason::Evicted => "evicted",
            CloseReason::Revoked => "revoked",
        }
    }
}

impl std::fmt::Display for CloseReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl TryFrom<u8> for CloseReason {
    /// The byte itself: no reason has that number.
    type Error = u8;

    fn try_from(byte: u8) -> Result<CloseReason, u8> {
        CloseReason::ALL.get(usize::from(byte)).copied().ok_or(byte)
    }
}
