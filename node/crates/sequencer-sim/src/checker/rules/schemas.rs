//! Schemas: each has one owner, and only that one uses it.

use std::collections::BTreeMap;

use sequencer_wire::{Frame, Schema, SchemaOwner};

use crate::checker::Verdict;

#[derive(Debug, Clone, Default)]
pub(super) struct Schemas {
    known: BTreeMap<u16, Schema>,
}

impl Schemas {
    /// A schema becomes known, gets a newer version, or another owner.
    pub(super) fn on_schema(&mut self, frame: &Frame<'_>, schema: &Schema) -> Verdict {
        if let Some(before) = self.known.get(&schema.id)
            && schema.version < before.version
        {
            return Err((
                "versions of a schema rise",
                format!("{} falls from {} to {} at {}", schema.id, before.version, schema.version, frame.at),
            ));
        }
        self.known.insert(schema.id, *schema);
        Ok(())
    }

    /// Whoever sends a frame owns the schema that it bears. Schema 0 is for all.
    pub(super) fn check_use(&self, frame: &Frame<'_>, user: SchemaOwner) -> Verdict {
        let (id, version) = (frame.fields.schema_id, frame.fields.schema_version);
        if id == 0 {
            return Ok(());
        }
        match self.known.get(&id) {
            Some(schema) if schema.owner == user && version <= schema.version => Ok(()),
            known => Err((
                "only its owner uses a schema",
                format!("{user:?} uses {id} version {version} at {}, known as {known:?}", frame.at),
            )),
        }
    }

    pub(super) fn owner(&self, id: u16) -> Option<SchemaOwner> {
        self.known.get(&id).map(|schema| schema.owner)
    }
}
