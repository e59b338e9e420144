//! The client against real nodes over loopback: sessions, subscriptions, changes of leader, handshakes.
//!
//! Checked: every record is acknowledged once and in order, and stands where the acknowledgement says in the log that a subscription reads, which has
//! no gap. Real: everything. What fails: members are stopped, with and without handing leadership over.

mod kit;

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use kit::{Cluster, LIMIT, poll_until};
use sequencer_client::{
    Client, ClientError, Disconnect, Event, Purpose, Record, SessionSettings, Settings, SubscribeAt,
};
use sequencer_wire::{FrameKind, Frames, Position};

/// What a client was told, and what it read.
#[derive(Default)]
struct Seen {
    places: RefCell<Vec<u64>>,
    /// Position and number of each message.
    read: RefCell<Vec<(u64, u64)>>,
    read_to: Cell<u64>,
    openings: Cell<u32>,
    disconnects: RefCell<Vec<(Purpose, String)>>,
    leader: Cell<u32>,
}

impl Seen {
    fn note(&self, event: Event<'_>) {
        match event {
            Event::Admitted { first, positions, .. } => {
                let mut places = self.places.borrow_mut();
                assert_eq!(first, places.len() as u64 + 1, "once and in order");
                places.extend(positions.iter().map(|position| position.0));
            }
            Event::Frames { from, previous, frames, .. } => {
                assert_eq!(from.0, self.read_to.get(), "no gap");
                for frame in Frames::new(frames, from, previous) {
                    let frame = frame.expect("it was verified");
                    if frame.fields.kind == FrameKind::Message {
                        let number = u64::from_le_bytes(frame.payload[..8].try_into().expect("8 bytes"));
                        self.read.borrow_mut().push((frame.at.0, number));
                    }
                    self.read_to.set(frame.end().0);
                }
            }
            Event::Opened { .. } => self.openings.set(self.openings.get() + 1),
            Event::Leader { leader, purpose: Purpose::Leader } if leader.is_here => {
                self.leader.set(leader.id.expect("itself").0);
            }
            Event::Disconnected { purpose, why, .. } => {
                self.disconnects.borrow_mut().push((purpose, why.to_string()));
            }
            Event::Refused { .. } | Event::SessionLost { .. } | Event::Fenced { .. } => panic!("{event:?}"),
            _ => {}
        }
    }

    /// What was read is what was acknowledged.
    fn check(&self, published: u64) {
        let read = self.read.borrow();
        assert!(read.iter().map(|(_, number)| *number).eq(1..=published));
        for ((at, number), place) in read.iter().zip(self.places.borrow().iter()) {
            assert!(*place == *at || *place == 0, "record {number} is at {at}, not at {place}");
        }
    }
}

fn publish(client: &mut Client, number: u64, bytes: usize) -> Result<u64, ClientError> {
    let mut payload = vec![number as u8; bytes.max(8)];
    payload[..8].copy_from_slice(&number.to_le_bytes());
    client.publish(&Record { schema_id: 0, schema_version: 0, cause: Position(0), payload: &payload })
}

fn session(name: &str) -> SessionSettings {
    SessionSettings { window_messages: 500, ..SessionSettings::new(name) }
}

/// Publishes up to record `last`, at full speed.
fn run_to(client: &mut Client, seen: &Seen, published: &mut u64, last: u64) {
    let start = Instant::now();
    while *published < last {
        while *published < last {
            match publish(client, *published + 1, 288) {
                Ok(number) => *published = number,
                Err(ClientError::WindowFull { .. }) => break,
                Err(error) => panic!("{error}"),
            }
        }
        client.poll(Some(Duration::from_millis(50)), &mut |event| seen.note(event)).expect("the poll works");
        assert!(start.elapsed() < LIMIT, "it takes too long");
    }
}

fn finish(client: &mut Client, seen: &Seen, published: u64) {
    poll_until(client, &mut |event| seen.note(event), |client| {
        client.unacknowledged() == 0 && seen.read.borrow().len() as u64 == published
    });
    seen.check(published);
}

#[test]
fn records_of_all_sizes_are_acknowledged_and_read() {
    let cluster = Cluster::start(1);
    for at in [SubscribeAt::Leader, SubscribeAt::Any, SubscribeAt::Address(cluster.addresses()[0].clone())] {
        let seen = Seen::default();
        let mut client = Client::new(cluster.settings()).expect("good settings");
        client
            .open_session(SessionSettings { window_bytes: 4 << 20, ..session("sizes") })
            .expect("good settings");
        client.subscribe(Some(Position(0)), at.clone(), true);
        let sizes = [8, 9, 288, 1000, 65_536, 999_999, 1_000_000, 10].into_iter().cycle().take(40);
        for (number, bytes) in (1..).zip(sizes) {
            while publish(&mut client, number, bytes).is_err() {
                client.poll(None, &mut |event| seen.note(event)).expect("the poll works");
            }
        }
        let large = vec![0; 1_000_001];
        let record = Record { schema_id: 0, schema_version: 0, cause: Position(0), payload: &large };
        assert!(matches!(client.publish(&record), Err(ClientError::TooLarge { limit_bytes: 1_000_000, .. })));
        poll_until(&mut client, &mut |event| seen.note(event), |client| client.unacknowledged() == 0);
        let last = *seen.places.borrow().last().expect("some");
        poll_until(&mut client, &mut |event| seen.note(event), |_| seen.read_to.get() > last);
        // Earlier rounds are in the log as well.
        let read = seen.read.borrow();
        let places: Vec<u64> = read.iter().rev().take(40).rev().map(|(at, _)| *at).collect();
        assert_eq!(places, *seen.places.borrow());
        client.close_session().expect("it is open");
        let is_closed = Cell::new(false);
        poll_until(
            &mut client,
            &mut |event| is_closed.set(is_closed.get() || matches!(event, Event::SessionClosed { .. })),
            |_| is_closed.get(),
        );
    }
}

#[test]
fn nothing_is_lost_or_doubled_while_leaders_come_and_go() {
    let mut cluster = Cluster::start(3);
    let seen = Seen::default();
    let mut client = Client::new(cluster.settings()).expect("good settings");
    client.open_session(session("failover")).expect("good settings");
    client.subscribe(Some(Position(0)), SubscribeAt::Any, true);
    let mut published = 0;
    for round in 0..4 {
        let target = published + 3000;
        run_to(&mut client, &seen, &mut published, target);
        let leader = seen.leader.get() as usize - 1;
        // Every other time it is handed over.
        cluster.stop_node(leader, round % 2 == 1);
        let target = published + 3000;
        run_to(&mut client, &seen, &mut published, target);
        cluster.start_node(leader);
    }
    finish(&mut client, &seen, published);
    assert!(seen.openings.get() >= 5, "{} openings", seen.openings.get());
}

#[test]
fn a_client_that_starts_again_goes_on_where_its_session_stood_and_fences_off_the_old_one() {
    let cluster = Cluster::start(1);
    let seen = Seen::default();
    let mut old = Client::new(cluster.settings()).expect("good settings");
    old.open_session(session("name")).expect("good settings");
    let mut published = 0;
    run_to(&mut old, &seen, &mut published, 10);
    poll_until(&mut old, &mut |event| seen.note(event), |client| client.unacknowledged() == 0);
    let (id, epoch) = old.session().expect("it is open");

    let mut new = Client::new(cluster.settings()).expect("good settings");
    new.open_session(SessionSettings { resume: id, ..session("name") }).expect("good settings");
    publish(&mut new, 1, 8).expect("there is room");
    let sequence = Cell::new(0);
    poll_until(
        &mut new,
        &mut |event| {
            if let Event::Admitted { first: 1, sequence: found, .. } = event {
                sequence.set(found);
            }
        },
        |_| sequence.get() > 0,
    );
    assert_eq!((sequence.get(), new.session()), (11, Some((id, epoch + 1))));

    publish(&mut old, 11, 8).expect("it does not know yet");
    let fenced = Cell::new(0);
    poll_until(
        &mut old,
        &mut |event| {
            if let Event::Fenced { count, .. } = event {
                fenced.set(count);
            }
        },
        |_| fenced.get() > 0,
    );
    assert_eq!(fenced.get(), 1);
    assert!(matches!(publish(&mut old, 12, 8), Err(ClientError::Fenced { .. })));
}

#[test]
fn a_node_is_not_talked_to_without_the_right_secret_or_cluster() {
    let cluster = Cluster::start(1);
    let good = cluster.settings();
    let wrong = [
        Settings { secret: Some(vec![9; 32]), ..good.clone() },
        Settings { identity: "nobody".to_owned(), ..good.clone() },
        Settings { cluster: sequencer_wire::ClusterId([9; 16]), ..good },
    ];
    for settings in wrong {
        let mut client = Client::new(settings).expect("within bounds");
        client.open_session(session("name")).expect("good settings");
        let refused = Cell::new(0);
        poll_until(
            &mut client,
            &mut |event| match event {
                Event::Disconnected { why: Disconnect::Refused(_), .. } => refused.set(refused.get() + 1),
                Event::Connected { .. } => panic!("it was let in"),
                _ => {}
            },
            |_| refused.get() == 2,
        );
    }
}

#[test]
fn a_waker_ends_a_poll_from_another_thread() {
    let cluster = Cluster::start(1);
    let mut client = Client::new(cluster.settings()).expect("good settings");
    let waker = client.waker();
    std::thread::scope(|scope| {
        scope.spawn(move || waker.wake().expect("it can be woken"));
        client.poll(None, &mut |_| {}).expect("the poll works");
    });
}

#[test]
fn a_subscription_below_the_log_or_beside_a_frame_ends() {
    let cluster = Cluster::start(1);
    let mut client = Client::new(cluster.settings()).expect("good settings");
    client.subscribe(Some(Position(8)), SubscribeAt::Any, true);
    let ended = Cell::new(false);
    poll_until(
        &mut client,
        &mut |event| ended.set(ended.get() || matches!(event, Event::SubscriptionEnded { .. })),
        |_| ended.get(),
    );
    assert_eq!(client.subscribed_to(), None);
}
