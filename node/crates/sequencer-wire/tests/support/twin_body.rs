//! The slow twin of the decoder of bodies. Bodies and faults are JSON, as the test vectors write them.

use serde_json::{Value, json};

/// What is left of a payload, and where it starts.
struct Reader<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(count);
        self.rest = rest;
        self.at += count;
        taken
    }

    fn number(&mut self, count: usize) -> u64 {
        super::twin_crc::number(self.bytes(count))
    }

    fn zeros(&mut self, count: usize) -> Result<(), Value> {
        let at = self.at;
        if self.bytes(count).iter().any(|byte| *byte != 0) {
            return Err(json!({"error": "Reserved", "facts": {"at": at}}));
        }
        Ok(())
    }

    fn above_zero(&mut self, field: &str, count: usize) -> Result<u64, Value> {
        let number = self.number(count);
        if number == 0 { Err(value(field, 0)) } else { Ok(number) }
    }

    /// One byte, and so many reserved ones after it.
    fn choice(&mut self, field: &str, names: &[&'static str], zeros: usize) -> Result<&'static str, Value> {
        let byte = self.number(1);
        let name = *names.get(byte as usize).ok_or_else(|| value(field, byte))?;
        self.zeros(zeros)?;
        Ok(name)
    }

    fn name(&mut self, length: u64, fixed: usize) -> Result<String, Value> {
        if length == 0 || length > 64 {
            return Err(value("name length", length));
        }
        let found = fixed + self.rest.len();
        if self.rest.len() as u64 != length {
            return Err(size(fixed + length as usize, found));
        }
        let name = self.bytes(length as usize);
        String::from_utf8(name.to_vec())
            .map_err(|error| value("name byte", error.utf8_error().valid_up_to() as u64))
    }
}

fn value(field: &str, found: u64) -> Value {
    json!({"error": "Value", "facts": {"field": field, "found": found}})
}

fn size(expected: usize, found: usize) -> Value {
    json!({"error": "Length", "facts": {"expected": expected, "found": found}})
}

/// Bytes of the fixed part of a kind, and whether more may follow.
fn sizes(kind: u8) -> (usize, bool) {
    match kind {
        1 | 6 => (24, false),
        2 | 3 | 21 => (0, true),
        4 | 7 | 11 | 19 => (0, false),
        5 | 10 | 12 | 15 | 20 => (8, false),
        8 | 14 => (8, true),
        9 => (16, true),
        13 | 16 | 18 => (16, false),
        17 => (32, true),
        22 => (32, false),
        _ => unreachable!("no such kind"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Decodes the payload of a frame of this kind, or says what is wrong.
pub(crate) fn decode(kind: u8, payload: &[u8]) -> Result<Value, Value> {
    let (fixed, varies) = sizes(kind);
    if payload.len() < fixed || (payload.len() > fixed && !varies) {
        return Err(size(fixed, payload.len()));
    }
    let mut reader = Reader { rest: payload, at: 0 };
    let r = &mut reader;
    Ok(match kind {
        1 => {
            let (term, previous, leader) = (r.number(8), r.number(8), r.number(4));
            r.zeros(4)?;
            json!({"term": term, "previous": previous, "leader": leader})
        }
        2 | 3 | 21 => json!({"bytes": hex(r.rest)}),
        4 | 7 | 11 | 19 => json!({}),
        5 => json!({"digest": r.number(8)}),
        6 => {
            let replica = r.number(4);
            let what = r.choice("what", &["output", "digest"], 3)?;
            json!({"replica": replica, "what": what, "expected": r.number(8), "actual": r.number(8)})
        }
        8 => {
            let service = r.number(4);
            r.zeros(4)?;
            json!({"service": service, "request": hex(r.rest)})
        }
        9 => {
            let (timeout_ns, group, class) = (r.number(8), r.number(4), r.number(2));
            let length = r.number(2);
            let name = r.name(length, fixed)?;
            json!({"timeout_ns": timeout_ns, "group": group, "class": class, "name": name})
        }
        10 => json!({"reason": r.choice("reason", &["closed", "expired", "evicted", "revoked"], 7)?}),
        12 => json!({"group": r.above_zero("group", 4)?, "session_epoch": r.number(4)}),
        13 => {
            let what = r.choice("what", &["wanted", "verified"], 7)?;
            let position = r.number(8);
            if what == "wanted" && position != 0 {
                return Err(value("position", position));
            }
            json!({"what": what, "position": position})
        }
        14 => members(r, payload.len())?,
        15 => json!({"floor": r.number(8)}),
        16 => {
            let (id, version) = (r.above_zero("schema id", 2)?, r.number(2));
            let owner_kind = r.choice("owner kind", &["service", "class"], 3)?;
            let owner = r.number(4);
            if owner_kind == "class" && owner > 0xFFFF {
                return Err(value("class", owner));
            }
            r.zeros(4)?;
            json!({"id": id, "version": version, "owner_kind": owner_kind, "owner": owner})
        }
        17 => {
            let (version, hold, tick) = (r.number(8), r.number(8), r.number(8));
            let agree = r.above_zero("agree", 2)?;
            let length = r.number(2);
            r.zeros(4)?;
            let name = r.name(length, fixed)?;
            json!({"version": version, "hold_bytes_max": hold, "tick_ns": tick, "agree": agree, "name": name})
        }
        18 => json!({"version": r.number(8), "at": r.number(8)}),
        20 => json!({"at": r.number(8)}),
        _ => {
            let what = r.choice("what", &["archived", "pin", "unpin"], 7)?;
            let mut field = |has_meaning: bool| {
                if has_meaning { Ok(r.number(8)) } else { r.zeros(8).map(|()| 0) }
            };
            let position = field(what != "unpin")?;
            let (bytes_max, id) = (field(what == "pin")?, field(what != "archived")?);
            json!({"what": what, "position": position, "bytes_max": bytes_max, "id": id})
        }
    })
}

fn members(r: &mut Reader<'_>, found: usize) -> Result<Value, Value> {
    let (next_id, count) = (r.number(4), r.number(4));
    if count == 0 || count > 16 {
        return Err(value("count", count));
    }
    if r.rest.len() as u64 != count * 24 {
        return Err(size(8 + count as usize * 24, found));
    }
    let (mut list, mut last, mut voters) = (Vec::new(), 0, 0);
    for _ in 0..count {
        let id = r.number(4);
        if id <= last || id >= next_id {
            return Err(value("member id", id));
        }
        last = id;
        let role = r.choice("role", &["voter", "learner"], 3)?;
        voters += u64::from(role == "voter");
        list.push(json!({"id": id, "role": role, "data": hex(r.bytes(16))}));
    }
    if voters == 0 || voters > 9 {
        return Err(value("voters", voters));
    }
    Ok(json!({"next_id": next_id, "members": list}))
}
