//! From session ids to slots: open addressing over a power of two.
//!
//! Ids are given in sequence, so an id modulo the size is as good as any hash: sessions opened one after another lie side by
//! side. There are never more keys than half of the places.

const FREE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    id: u32,
    slot: u32,
}

/// Maps ids to slots. The slot `u32::MAX` is not used.
#[derive(Debug, Clone)]
pub(crate) struct IdTable {
    places: Vec<Place>,
    len: usize,
}

impl IdTable {
    pub(crate) fn new() -> Self {
        Self { places: vec![Place { id: 0, slot: FREE }; 64], len: 0 }
    }

    #[inline]
    pub(crate) fn get(&self, id: u32) -> Option<u32> {
        let mask = self.places.len() - 1;
        let mut at = id as usize & mask;
        loop {
            let place = self.places[at];
            if place.slot == FREE {
                return None;
            }
            if place.id == id {
                return Some(place.slot);
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds an id that is not in the table.
    pub(crate) fn insert(&mut self, id: u32, slot: u32) {
        if (self.len + 1) * 2 > self.places.len() {
            let doubled = vec![Place { id: 0, slot: FREE }; self.places.len() * 2];
            for place in std::mem::replace(&mut self.places, doubled) {
                if place.slot != FREE {
                    self.put(place);
                }
            }
        }
        self.put(Place { id, slot });
        self.len += 1;
    }

    fn put(&mut self, place: Place) {
        let mask = self.places.len() - 1;
        let mut at = place.id as usize & mask;
        while self.places[at].slot != FREE {
            at = (at + 1) & mask;
        }
        self.places[at] = place;
    }

    /// Removes an id, and closes the gap so that no search ends too early.
    pub(crate) fn remove(&mut self, id: u32) {
        let mask = self.places.len() - 1;
        let mut hole = id as usize & mask;
        while self.places[hole].id != id || self.places[hole].slot == FREE {
            if self.places[hole].slot == FREE {
                return;
            }
            hole = (hole + 1) & mask;
        }
        self.len -= 1;
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let place = self.places[at];
            if place.slot == FREE {
                break;
            }
            let home = place.id as usize & mask;
            // It may move into the hole if its home does not lie between the hole and itself.
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                self.places[hole] = place;
                hole = at;
            }
        }
        self.places[hole].slot = FREE;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::random::Random;

    #[test]
    fn it_answers_like_a_map() {
        let mut random = Random::new(5);
        let mut table = IdTable::new();
        let mut map = BTreeMap::new();
        for step in 0..20_000u32 {
            // Few distinct homes, so that chains form and break.
            let id = (random.below(40) * 64 + random.below(6)) as u32;
            if map.remove(&id).is_some() {
                table.remove(id);
            } else {
                table.insert(id, step);
                map.insert(id, step);
            }
            let asked = (random.below(40) * 64 + random.below(6)) as u32;
            assert_eq!(table.get(asked), map.get(&asked).copied());
        }
        for id in 0..3000 {
            assert_eq!(table.get(id), map.get(&id).copied());
        }
    }

    #[test]
    fn removing_what_is_not_there_changes_nothing() {
        let mut table = IdTable::new();
        table.insert(1, 7);
        table.remove(65);
        table.remove(2);
        assert_eq!(table.get(1), Some(7));
    }
}
