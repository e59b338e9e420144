//! The handshake between two sides that trust each other, and between those that should not.
//!
//! In: credentials, hellos with one thing wrong each, messages replayed, mirrored, flipped. Checked: who is let in, as what, and with which code
//! the others are refused.

use sequencer_link::{
    Acceptor, Credential, Hello, Initiator, Introduced, Keys, RefusalCode, Refused, Role, Welcomed,
    peek_message,
};
use sequencer_wire::{ClusterId, NodeId};

const CLUSTER: ClusterId = ClusterId([7; 16]);
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

fn keys(role: Role) -> Keys {
    let credential = Credential { identity: "desk".to_owned(), secret: SECRET.to_vec(), role, class: 3 };
    Keys { credentials: vec![credential], insecure: false }
}

fn hello() -> Hello {
    Hello {
        role: Role::Client,
        cluster: CLUSTER,
        node: NodeId(0),
        data: [0; 16],
        nonce: [1; 32],
        identity: "desk".to_owned(),
        address: "10.0.0.1:7400".to_owned(),
    }
}

fn acceptor() -> Acceptor {
    Acceptor::new(CLUSTER, NodeId(2), [9; 16], 1000)
}

fn only(bytes: &[u8]) -> &[u8] {
    let message = peek_message(bytes).expect("the length is sound").expect("it is whole");
    assert_eq!(message.len(), bytes.len(), "one message");
    message
}

/// Both sides, message by message; `tamper` may change each message on the way.
fn greet(
    hello: &Hello,
    expected: Option<NodeId>,
    secret: Option<&[u8]>,
    keys: &Keys,
    tamper: impl Fn(usize, &mut Vec<u8>),
) -> Result<(Introduced, Welcomed), Refused> {
    let (mut to_acceptor, mut to_initiator) = (Vec::new(), Vec::new());
    let mut initiator = Initiator::new(hello, expected, secret.map(<[u8]>::to_vec), &mut to_acceptor);
    let mut acceptor = acceptor();
    let mut introduced = None;
    for round in 0..2 {
        tamper(2 * round, &mut to_acceptor);
        introduced = acceptor.receive(only(&to_acceptor), keys, [2; 32], &mut to_initiator)?.or(introduced);
        to_acceptor.clear();
        tamper(2 * round + 1, &mut to_initiator);
        let welcomed = initiator.receive(only(&to_initiator), &mut to_acceptor)?;
        to_initiator.clear();
        if let Some(welcomed) = welcomed {
            return Ok((introduced.expect("the acceptor knows it before it welcomes"), welcomed));
        }
    }
    panic!("the handshake takes two rounds");
}

#[test]
fn the_right_secret_opens_the_connection_on_both_sides() {
    let (introduced, welcomed) =
        greet(&hello(), Some(NodeId(2)), Some(SECRET), &keys(Role::Client), |_, _| {}).expect("all is right");
    assert_eq!((introduced.hello, introduced.class), (hello(), 3));
    assert_eq!(welcomed, Welcomed { node: NodeId(2), data: [9; 16], payload_bytes_max: 1000 });
}

#[test]
fn without_security_nobody_proves_anything() {
    let open = Keys { credentials: Vec::new(), insecure: true };
    let (introduced, _) = greet(&hello(), None, None, &open, |_, _| {}).expect("everybody may");
    assert_eq!(introduced.class, 0);
}

#[test]
fn who_may_not_is_refused_with_a_code() {
    let code = |hello: &Hello, expected, secret, keys: &Keys| {
        greet(hello, expected, secret, keys, |_, _| {}).expect_err("it may not").code
    };
    let client = keys(Role::Client);
    let other_secret = b"another secret of thirty-two bytes".as_slice();
    let with = |change: fn(&mut Hello)| {
        let mut hello = hello();
        change(&mut hello);
        hello
    };
    let table = [
        ("a wrong secret", code(&hello(), None, Some(other_secret), &client), RefusalCode::NotAuthorized),
        ("no secret", code(&hello(), None, None, &client), RefusalCode::NotAuthorized),
        (
            "an unknown identity",
            code(&with(|hello| hello.identity = "dusk".to_owned()), None, Some(SECRET), &client),
            RefusalCode::NotAuthorized,
        ),
        (
            "another role",
            code(&with(|hello| hello.role = Role::Peer), None, Some(SECRET), &client),
            RefusalCode::NotAuthorized,
        ),
        (
            "another cluster",
            code(&with(|hello| hello.cluster = ClusterId([8; 16])), None, Some(SECRET), &client),
            RefusalCode::WrongCluster,
        ),
        ("another node", code(&hello(), Some(NodeId(3)), Some(SECRET), &client), RefusalCode::WrongNode),
        (
            "a node that asks for nothing, to one who expects a proof",
            code(&hello(), None, Some(SECRET), &Keys { insecure: true, ..client.clone() }),
            RefusalCode::NotAuthorized,
        ),
    ];
    for (what, found, expected) in table {
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn an_operator_may_connect_as_a_client_and_not_the_other_way_round() {
    let operator = Hello { role: Role::Operator, ..hello() };
    assert!(greet(&hello(), None, Some(SECRET), &keys(Role::Operator), |_, _| {}).is_ok());
    let refused =
        greet(&operator, None, Some(SECRET), &keys(Role::Client), |_, _| {}).expect_err("it is a client");
    assert_eq!(refused.code, RefusalCode::NotAuthorized);
}

#[test]
fn every_flipped_bit_is_noticed() {
    let client = keys(Role::Client);
    let lengths = std::cell::RefCell::new([0; 4]);
    greet(&hello(), None, Some(SECRET), &client, |round, message| {
        lengths.borrow_mut()[round] = message.len()
    })
    .expect("all is right");
    for (round, length) in lengths.into_inner().into_iter().enumerate() {
        // The length field is looked at by `peek_message` before.
        for bit in 32..length * 8 {
            let outcome = greet(&hello(), None, Some(SECRET), &client, |at, message| {
                if at == round {
                    message[bit / 8] ^= 1 << (bit % 8);
                }
            });
            assert!(outcome.is_err(), "bit {bit} of message {round}");
        }
    }
}

#[test]
fn a_proof_of_another_connection_is_worth_nothing() {
    let client = keys(Role::Client);
    let recorded = std::cell::RefCell::new(Vec::new());
    greet(&hello(), None, Some(SECRET), &client, |round, message| {
        if round == 2 {
            recorded.borrow_mut().clone_from(message);
        }
    })
    .expect("all is right");
    // The same hello again, but the acceptor's nonce is another one.
    let (mut to_acceptor, mut to_initiator) = (Vec::new(), Vec::new());
    let _initiator = Initiator::new(&hello(), None, Some(SECRET.to_vec()), &mut to_acceptor);
    let mut acceptor = acceptor();
    let known = acceptor.receive(only(&to_acceptor), &client, [3; 32], &mut to_initiator);
    assert_eq!(known.expect("a hello is a hello"), None);
    let refused = acceptor.receive(only(&recorded.borrow()), &client, [4; 32], &mut to_initiator);
    assert_eq!(refused.expect_err("it is old").code, RefusalCode::NotAuthorized);
}

#[test]
fn messages_out_of_turn_end_the_handshake() {
    let client = keys(Role::Client);
    let (mut hello_bytes, mut answer) = (Vec::new(), Vec::new());
    let mut initiator = Initiator::new(&hello(), None, Some(SECRET.to_vec()), &mut hello_bytes);
    let mut acceptor = acceptor();
    acceptor.receive(only(&hello_bytes), &client, [2; 32], &mut answer).expect("a hello is a hello");
    let refused = acceptor.receive(only(&hello_bytes), &client, [2; 32], &mut Vec::new()).expect_err("again");
    assert_eq!(refused.code, RefusalCode::Protocol);
    let refused = initiator.receive(only(&hello_bytes), &mut Vec::new()).expect_err("its own");
    assert_eq!(refused.code, RefusalCode::Protocol);
    // It is over for good.
    assert!(initiator.receive(only(&answer), &mut Vec::new()).is_err());
}

#[test]
fn secrets_are_not_shown() {
    let shown = format!("{:?}", keys(Role::Client));
    assert!(shown.contains("desk") && !shown.contains("0123"), "{shown}");
}
