//! Fuzzing of `Body::decode`. In go raw bytes under every kind, and good bodies that were spoiled. Checked: no panic, the same
//! verdict as the slow twin to the last fact, and what decodes encodes to the same bytes.

mod support;

use bolero::TypeGenerator;
use sequencer_wire::{Body, FrameKind};
use support::body_examples::{encoded, good};
use support::mutate::{self, Mutation};
use support::{body_json, fuzz::bounded, twin_body};

/// Holds the decoder to everything that it promises about `bytes`, and returns the error with the field it is about.
fn check_decoder(kind: FrameKind, bytes: &[u8]) -> Result<(), String> {
    let decoded = Body::decode(kind, bytes);
    let said = decoded.as_ref().map(body_json::described).map_err(body_json::fault);
    assert_eq!(said, twin_body::decode(kind as u8, bytes), "{kind}");
    match decoded {
        Ok(body) => {
            assert_eq!((body.kind(), encoded(&body)), (kind, bytes.to_vec()));
            Ok(())
        }
        Err(error) => {
            assert!(error.to_string().contains(kind.name()), "{error}");
            let fault = body_json::fault(&error);
            Err(fault["facts"]["field"].as_str().or(fault["error"].as_str()).unwrap_or_default().to_owned())
        }
    }
}

#[test]
fn raw_bytes() {
    bounded(bolero::check!(), 200_000).for_each(|input: &[u8]| {
        if let Some((kind, bytes)) = input.split_first() {
            let _ = check_decoder(FrameKind::ALL[usize::from(*kind) % FrameKind::ALL.len()], bytes);
        }
    });
}

#[derive(Debug, Clone, TypeGenerator)]
struct Spoiled {
    body: u8,
    /// Fields lie at multiples of 2, and small numbers are what most of them may hold.
    small: Option<(u8, u8)>,
    #[generator(bolero::generator::produce::<Vec<Mutation>>().with().len(0..3usize))]
    mutations: Vec<Mutation>,
    /// Under another kind than its own.
    kind: Option<u8>,
}

#[test]
fn spoiled_bodies() {
    let good = good();
    let mut seen = std::collections::BTreeMap::<String, u64>::new();
    let counted = std::panic::AssertUnwindSafe(std::cell::RefCell::new(&mut seen));
    bounded(bolero::check!(), 200_000).with_type::<Spoiled>().for_each(|input| {
        let (_, body) = &good[usize::from(input.body) % good.len()];
        let mut bytes = encoded(body);
        if let (Some((at, value)), false) = (input.small, bytes.is_empty()) {
            let at = usize::from(at) * 2 % bytes.len();
            bytes[at] = value % 20;
        }
        for mutation in &input.mutations {
            mutate::apply(mutation, &mut bytes);
        }
        let kind = match input.kind {
            Some(kind) if kind % 4 == 0 => FrameKind::ALL[usize::from(kind / 4) % FrameKind::ALL.len()],
            _ => body.kind(),
        };
        let name = check_decoder(kind, &bytes).err().unwrap_or_else(|| "Ok".to_owned());
        *counted.borrow_mut().entry(name).or_default() += 1;
    });
    // The target is worth little when it stops reaching some of the code.
    for name in [
        "Ok",
        "Length",
        "Reserved",
        "what",
        "reason",
        "group",
        "position",
        "name length",
        "name byte",
        "count",
        "member id",
        "role",
        "voters",
        "schema id",
        "owner kind",
        "class",
        "agree",
    ] {
        assert!(seen.contains_key(name), "no input led to {name}: {seen:?}");
    }
}
