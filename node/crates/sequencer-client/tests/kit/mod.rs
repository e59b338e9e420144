//! Real nodes on loopback, in this process, each with threads, sockets and a directory of its own.

#![allow(dead_code, reason = "each suite uses a part")]

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use sequencer_client::{Client, Event, Settings};
use sequencer_runtime::node::Node;
use sequencer_wire::ClusterId;
use serde_json::json;
use tempfile::TempDir;

pub(crate) const CLUSTER: ClusterId = ClusterId([0xc1; 16]);
/// How long anything may take before a test gives up.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
const SECRET: &[u8] = b"the secret of the client, 32 bytes and more";

/// Members that may be stopped and started again.
pub(crate) struct Cluster {
    directory: TempDir,
    ports: Vec<u16>,
    nodes: Vec<Option<Node>>,
}

impl Cluster {
    /// So many voters, all running; clients have to prove who they are.
    pub(crate) fn start(voters: usize) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        for (name, secret) in [("client", SECRET), ("peer", &[7; 32])] {
            std::fs::write(directory.path().join(name), secret).expect("a file");
        }
        // Held until all are chosen, so that they differ.
        let held: Vec<_> = (0..voters).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
        let ports = held.iter().map(|held| held.local_addr().expect("an address").port()).collect();
        drop(held);
        let nodes = (0..voters).map(|_| None).collect();
        let mut cluster = Self { directory, ports, nodes };
        for index in 0..voters {
            Node::init(&cluster.config(index)).expect("a new directory");
            cluster.start_node(index);
        }
        cluster
    }

    pub(crate) fn addresses(&self) -> Vec<String> {
        self.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect()
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            identity: "client".to_owned(),
            secret: Some(SECRET.to_vec()),
            ..Settings::new(CLUSTER, self.addresses())
        }
    }

    pub(crate) fn start_node(&mut self, index: usize) {
        self.nodes[index] = Some(Node::start(&self.config(index)).expect("it starts"));
    }

    /// Ends a member; without a hand-over its connections just close.
    pub(crate) fn stop_node(&mut self, index: usize, hand_over: bool) {
        let node = self.nodes[index].take().expect("it runs");
        node.stop(hand_over);
        assert_eq!(node.wait(LIMIT).as_deref(), Some(""));
    }

    fn config(&self, index: usize) -> Vec<u8> {
        let uuid = |index: usize| format!("{:032x}", 0xda7a_0000 + index);
        let voters = 0..self.ports.len();
        let address = |index: usize| format!("127.0.0.1:{}", self.ports[index]);
        let path = |name: &str| -> String { at(self.directory.path(), name) };
        let config = json!({
            "cluster": "c1".repeat(16), "node": index + 1, "data": uuid(index),
            "directory": path(&format!("node-{index}")), "listen": address(index), "advertise": "",
            "durability": "memory", "idle": "wait", "insecure": false,
            "founders": voters.clone().map(|index| json!({"id": index + 1, "data": uuid(index)})).collect::<Vec<_>>(),
            "peers": voters.map(|index| json!({"id": index + 1, "address": address(index)})).collect::<Vec<_>>(),
            "credentials": [
                {"name": "client", "secret_file": path("client"), "class": 1, "role": "client"},
                {"name": "peer", "secret_file": path("peer"), "class": 0, "role": "peer"},
            ],
            "limits": {
                "sessions": 100, "connections": 100, "segment_bytes": 16 << 20, "reserve_bytes": 1 << 20,
                "snapshot_every_bytes": 64 << 20, "retain_bytes": 0, "buffer_bytes": 16 << 20,
                "uncommitted_bytes": 4 << 20, "inflight_bytes": 4 << 20, "payload_bytes": 1_000_000,
            },
            "timing": {"election_timeout_ms": 300, "heartbeat_ms": 50},
        });
        config.to_string().into_bytes()
    }
}

fn at(directory: &Path, name: &str) -> String {
    directory.join(name).to_str().expect("a readable path").to_owned()
}

/// Polls until the condition holds.
pub(crate) fn poll_until(
    client: &mut Client,
    on_event: &mut dyn FnMut(Event<'_>),
    mut is_done: impl FnMut(&Client) -> bool,
) {
    let start = Instant::now();
    while !is_done(client) {
        assert!(start.elapsed() < LIMIT, "it takes too long");
        client.poll(Some(Duration::from_millis(100)), on_event).expect("the poll works");
    }
}
