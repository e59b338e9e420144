//! The list of members, as a value on the stack.
//!
//! ```text
//! 0 next id u32 | 4 count u32 | then for each member: 0 id u32 | 4 role u8 | 5 three bytes 0 | 8 data UUID 16 bytes
//! ```

use crate::NodeId;

/// Most members of a cluster, learners included.
pub const MEMBERS_MAX: usize = 16;
/// Most voters. More would slow each commit and help nobody; fixed arrays on the hot path hold this many.
pub const VOTERS_MAX: usize = 9;
/// Bytes of one member in a frame.
pub(crate) const MEMBER_BYTES: usize = 24;

/// Whether a member counts for elections and commits.
#[repr(u8)]
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Default)]
pub enum MemberRole {
    /// It votes and its acknowledgements count.
    #[default]
    Voter = 0,
    /// It follows the log and counts for nothing.
    Learner = 1,
}

/// One member.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub struct Member {
    /// Its id, above 0.
    pub id: NodeId,
    /// Whether it votes.
    pub role: MemberRole,
    /// UUID of its data; zeros if it is not known.
    pub data: [u8; 16],
}

/// Up to `MEMBERS_MAX` members.
///
/// Invariant: ids ascend strictly.
#[derive(Copy, Clone)]
pub struct Members {
    members: [Member; MEMBERS_MAX],
    len: usize,
}

impl Members {
    /// No members.
    #[must_use]
    pub const fn new() -> Members {
        let unused = Member { id: NodeId(0), role: MemberRole::Voter, data: [0; 16] };
        Members { members: [unused; MEMBERS_MAX], len: 0 }
    }

    /// The members, by id.
    #[must_use]
    pub fn as_slice(&self) -> &[Member] {
        &self.members[..self.len]
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The member with this id.
    #[must_use]
    pub fn get(&self, id: NodeId) -> Option<&Member> {
        self.as_slice().iter().find(|member| member.id == id)
    }

    /// How many of them vote.
    #[must_use]
    pub fn voters(&self) -> usize {
        self.as_slice().iter().filter(|member| member.role == MemberRole::Voter).count()
    }

    /// Adds a member after the last one.
    ///
    /// # Panics
    /// When there are `MEMBERS_MAX` already, or the id does not follow the last one.
    pub fn push(&mut self, member: Member) {
        assert!(self.len < MEMBERS_MAX, "a cluster has at most {MEMBERS_MAX} members");
        let follows = self.as_slice().last().is_none_or(|last| last.id < member.id);
        assert!(follows && member.id > NodeId(0), "{member:?} does not follow {:?}", self.as_slice());
        self.members[self.len] = member;
        self.len += 1;
    }
}

impl Default for Members {
    fn default() -> Members {
        Members::new()
    }
}

impl PartialEq for Members {
    fn eq(&self, other: &Members) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Members {}

impl std::fmt::Debug for Members {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}

/// The list of members and the next id that was never used.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub struct Membership {
    /// No member ever had this id or a higher one.
    pub next_id: NodeId,
    /// The members.
    pub members: Members,
}
