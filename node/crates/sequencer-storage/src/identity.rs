//! The `identity` file: whose log this directory holds. Written once, as two equal copies.

use sequencer_wire::{ClusterId, NodeId};

use crate::disk::Disk;
use crate::error::StorageError;
use crate::options::Options;
use crate::sector::{self, Fields, PAIR_BYTES, Record, Taken};

/// Name of the file; its presence means that formatting was completed.
pub(crate) const IDENTITY_FILE: &str = "identity";
/// Name while formatting is under way.
pub(crate) const IDENTITY_FILE_NEW: &str = "identity.new";

/// ```text
/// 16 cluster id 16 bytes | 32 node id u32 | 36 zero u32 | 40 data uuid 16 bytes | 56 segment bytes u64
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) cluster: ClusterId,
    pub(crate) node: NodeId,
    pub(crate) data_uuid: [u8; 16],
    /// Size that the first segment was made with; later ones may differ.
    pub(crate) segment_bytes: u64,
}

impl Record for Identity {
    const MAGIC: [u8; 8] = *b"sqidenty";

    fn sequence(&self) -> u64 {
        0
    }

    fn put(&self, fields: &mut Fields<'_>) {
        fields.bytes(&self.cluster.0);
        fields.u32(self.node.0);
        fields.u32(0);
        fields.bytes(&self.data_uuid);
        fields.u64(self.segment_bytes);
    }

    fn take(fields: &mut Taken<'_>) -> Option<Self> {
        let cluster = ClusterId(fields.array());
        let node = NodeId(fields.u32());
        let _zero = fields.u32();
        Some(Self { cluster, node, data_uuid: fields.array(), segment_bytes: fields.u64() })
    }
}

impl Identity {
    /// Reads the identity and compares it with what the node was told.
    pub(crate) fn read<D: Disk>(disk: &mut D, options: &Options) -> Result<Self, StorageError> {
        let mut pair = [0; PAIR_BYTES];
        let file = disk.open(IDENTITY_FILE)?;
        read_exact(disk, IDENTITY_FILE, &file, &mut pair)?;
        let identity = sector::decode_pair::<Self>(IDENTITY_FILE, 0, &pair)?;
        let identity = identity.record.ok_or_else(|| missing_record(IDENTITY_FILE))?;
        let file = IDENTITY_FILE.to_owned();
        if identity.cluster != options.cluster {
            let (expected, found) = (options.cluster, identity.cluster);
            return Err(StorageError::WrongCluster { file, expected, found });
        }
        if identity.node != options.node {
            return Err(StorageError::WrongNode { file, expected: options.node, found: identity.node });
        }
        Ok(identity)
    }
}

/// Reads from the start of a small file; a file cut short is damage, not a failing disk.
pub(crate) fn read_exact<D: Disk>(
    disk: &mut D,
    name: &str,
    file: &D::File,
    into: &mut [u8],
) -> Result<(), StorageError> {
    let size = disk.size(file)?;
    if size < into.len() as u64 {
        let cause = crate::error::CorruptionCause::ShortFile(size);
        return Err(StorageError::Corruption { file: name.to_owned(), offset: size, cause });
    }
    Ok(disk.read_at(file, 0, into)?)
}

pub(crate) fn missing_record(name: &str) -> StorageError {
    let cause = crate::error::CorruptionCause::MissingRecord;
    StorageError::Corruption { file: name.to_owned(), offset: 0, cause }
}
