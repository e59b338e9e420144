//! Schemas: who may use each.

use sequencer_wire::SchemaOwner;

/// Highest schema id; the table is an array.
pub const SCHEMA_ID_MAX: u16 = 4095;

/// Owner and newest version of a schema; `None` if it is not registered.
pub(crate) type SchemaEntry = Option<(SchemaOwner, u16)>;

/// By id, without gaps up to the highest one registered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Schemas {
    entries: Vec<SchemaEntry>,
}

impl Schemas {
    #[inline]
    pub(crate) fn get(&self, id: u16) -> SchemaEntry {
        self.entries.get(usize::from(id)).copied().flatten()
    }

    /// Sets an entry; returns the one before.
    pub(crate) fn set(&mut self, id: u16, entry: SchemaEntry) -> SchemaEntry {
        let index = usize::from(id);
        if index >= self.entries.len() {
            self.entries.resize(index + 1, None);
        }
        std::mem::replace(&mut self.entries[index], entry)
    }

    /// Those registered, by id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u16, SchemaOwner, u16)> {
        self.entries
            .iter()
            .enumerate()
            .filter_map(|(id, entry)| entry.map(|(owner, version)| (id as u16, owner, version)))
    }
}
