//! The faults: what each kind does to the world.

use sequencer_core::Role;
use sequencer_storage::{Disk, Durability, Log, Operation, SimDisk, frame_room};
use sequencer_wire::NodeId;
use serde_json::json;

use crate::inspect::voters_of;
use crate::network::Weather;
use crate::node::{Down, SEGMENT_BYTES};
use crate::profile::{Fault, MS, Moment};
use crate::world::{Action, World};

impl World {
    /// Schedules a fault if the profile waits for this moment.
    pub(crate) fn lie_in_wait(&mut self, node: usize, moment: Moment) {
        let Some(ambush) = self.profile.ambush.filter(|ambush| ambush.moment == moment) else { return };
        if self.rng.below(100) < ambush.percent {
            let faults = [
                Fault::CrashProcess,
                Fault::LosePower,
                Fault::StopInOperation,
                Fault::OneWayPartition,
                Fault::Pause,
            ];
            let isolates = self.profile.rotates || (moment == Moment::Elected && self.rng.below(3) > 0);
            let loses_power = moment == Moment::Cut && self.rng.coin();
            let fault = match (isolates, loses_power) {
                (true, _) => Fault::Isolate,
                (_, true) => Fault::LosePower,
                _ => faults[self.rng.below(faults.len() as u64) as usize],
            };
            // At once, so that what was just sent is lost too; or when some of it has had its effect.
            let delay_max = if self.rng.coin() { MS } else { ambush.delay_ns_max };
            let delay = self.rng.below(delay_max);
            let life = self.nodes[node].life;
            self.schedule(delay, Action::Ambush { node, life, fault });
        }
    }

    /// Does one fault to the world, to `node` if it is a fault of one node.
    pub(crate) fn strike(&mut self, fault: Fault, node: usize) {
        self.trace.event(self.now_ns, None, "fault", || json!({"kind": format!("{fault:?}")}));
        match fault {
            Fault::CrashProcess => self.crash_process(node),
            Fault::LosePower => self.lose_power(node),
            Fault::LoseAllPower => {
                self.stats.hit("losses of all power");
                for node in 0..self.nodes.len() {
                    self.lose_power(node);
                }
            }
            Fault::StopInOperation => {
                let operations = 1 + self.rng.below(40);
                self.nodes[node].disk.stop_after(operations);
            }
            Fault::CleanRestart => self.stop_cleanly(node),
            Fault::Partition => self.partition(),
            Fault::OneWayPartition => self.block_one_way(node),
            Fault::Isolate => self.isolate(node),
            Fault::Weather => {
                self.stats.hit("changes of weather");
                let damage = self.network.weather.damage;
                self.network.weather = Weather { damage, ..Weather::draw(&mut self.rng) };
                self.calm_later(false);
            }
            Fault::DamageMessages => {
                self.network.weather.damage = 1 + self.rng.below(50);
                self.calm_later(false);
            }
            Fault::Pause => self.pause(node),
            Fault::ClockJump => {
                self.stats.hit("jumps of a wall clock");
                let hour = 3_600_000 * MS;
                self.nodes[node].wall_base_ns += self.rng.below(2 * hour) as i64 - hour as i64;
            }
            Fault::SlowDisk => {
                self.stats.hit("slow disks");
                self.nodes[node].slow_sync_ns = self.rng.below(300 * MS);
                self.nodes[node].slow_until_ns = self.now_ns + self.rng.below(1_000 * MS);
            }
            Fault::Transfer => self.transfer(node),
            Fault::FullDisk => {
                self.nodes[node].disk.set_free_bytes(Some(self.rng.below(40 << 10)));
                let delay = self.rng.below(2_000 * MS);
                self.schedule(delay, Action::FreeDisk { node });
            }
            Fault::DiskError => {
                let operations = [Operation::Write, Operation::Sync, Operation::Read, Operation::Create];
                let operation = operations[self.rng.below(4) as usize];
                self.nodes[node].disk.fail_next(operation);
            }
            Fault::LoseDisk => self.lose_disk(node),
            Fault::FlipBit => self.flip_bit(),
            Fault::DamageTail => self.damage_tail(),
        }
    }

    fn crash_process(&mut self, node: usize) {
        if self.nodes[node].is_up() {
            self.stats.hit("crashes of a process");
            self.take_down(node, None);
        }
    }

    fn lose_power(&mut self, node: usize) {
        let memory = self.profile.durability == Durability::Memory;
        if memory && !self.may_lose(node) {
            return;
        }
        self.stats.hit("losses of power");
        let was_up = self.nodes[node].is_up();
        if was_up {
            self.take_down(node, None);
        }
        let state = &mut self.nodes[node];
        state.disk.lose_power(&mut self.rng);
        let boot = self.rng.next_u64();
        state.settings.storage.boot_id[..8].copy_from_slice(&boot.to_le_bytes());
        if memory && !was_up && state.down == Some(Down::Restarting) {
            // It stopped before the loss; what it had not synced is gone all the same, and it will notice.
            self.stats.hit("losses of power while down");
        }
    }

    /// Losing a node's memory or disk, or damaging it, is survivable only for a minority of every list of voters in use.
    pub(crate) fn may_lose(&self, node: usize) -> bool {
        let id = self.nodes[node].id;
        let is_sound = |voter: &NodeId| *voter != id && !self.nodes[voter.0 as usize - 1].is_weak();
        self.lists_in_use()
            .iter()
            .all(|list| list.iter().filter(|voter| is_sound(voter)).count() > list.len() / 2)
    }

    /// The voters by what is committed, and by what each running node has read.
    fn lists_in_use(&self) -> Vec<Vec<NodeId>> {
        let running =
            self.nodes.iter().filter(|node| !node.is_gone()).filter_map(|node| node.replica.as_ref());
        let mut lists: Vec<Vec<NodeId>> = running.map(voters_of).filter(|list| !list.is_empty()).collect();
        lists.push(self.checker.rules.voters());
        lists
    }

    /// A machine is lost with its disk, and somebody starts a new one under the old id: nobody may listen to it.
    fn lose_disk(&mut self, node: usize) {
        if self.nodes[node].is_gone() || !self.may_lose(node) {
            return;
        }
        self.stats.hit("disks lost");
        if self.nodes[node].is_up() {
            self.take_down(node, None);
        }
        let mut disk = SimDisk::new(self.rng.next_u64());
        let mut data = [0xee; 16];
        data[..8].copy_from_slice(&self.rng.next_u64().to_le_bytes());
        let state = &mut self.nodes[node];
        Log::format(&mut disk, &state.settings.storage, data)
            .expect("an empty disk without faults can be formatted");
        state.disk = disk;
        state.data = data;
        state.is_impostor = true;
    }

    fn stop_cleanly(&mut self, node: usize) {
        let Some(replica) = self.nodes[node].replica.take() else { return };
        self.stats.hit("clean stops");
        match replica.close() {
            Ok(()) => self.take_down(node, None),
            Err(error) => {
                self.on_failure(node, &error);
                if self.nodes[node].down.is_none() {
                    self.take_down(node, None);
                }
            }
        }
    }

    fn partition(&mut self) {
        self.stats.hit("partitions");
        let count = self.nodes.len();
        let side: Vec<bool> = (0..count).map(|_| self.rng.coin()).collect();
        for one in 0..count {
            for other in 0..one {
                if side[one] != side[other] {
                    self.network.block_both(one, other);
                }
            }
        }
        self.calm_later(true);
    }

    fn block_one_way(&mut self, to: usize) {
        self.stats.hit("one-way partitions");
        let from = self.rng.below(self.nodes.len() as u64) as usize;
        if self.rng.coin() {
            self.network.block(from, to);
        } else {
            for from in 0..self.nodes.len() {
                self.network.block(from, to);
            }
        }
        self.calm_later(true);
    }

    /// Cuts one node off from all others; those are often reconnected at the same time, so that trouble goes round.
    fn isolate(&mut self, node: usize) {
        self.stats.hit("isolated nodes");
        if self.profile.rotates || self.rng.coin() {
            self.network.unblock_all();
        }
        for other in 0..self.nodes.len() {
            if other != node {
                self.network.block_both(node, other);
            }
        }
        self.calm_later(true);
    }

    fn calm_later(&mut self, unblock: bool) {
        let delay = 20 * MS + self.rng.below(1_500 * MS);
        self.schedule(delay, Action::Calm { unblock });
    }

    fn pause(&mut self, node: usize) {
        self.stats.hit("pauses");
        let pause = self.rng.below(500 * MS);
        self.nodes[node].paused_until_ns = self.now_ns + pause;
        self.schedule(pause, Action::Resume { node });
    }

    fn transfer(&mut self, target: usize) {
        let Some(leader) = self.leader() else { return };
        let target = self.nodes[target].id;
        let outcome = self
            .with_replica(leader, |replica, now, outside| replica.transfer_leadership(target, now, outside));
        match outcome {
            Some(Ok(Ok(()))) => {
                self.stats.hit("transfers");
                self.turn(leader);
            }
            Some(Err(error)) => self.on_failure(leader, &error),
            Some(Ok(Err(_))) | None => {}
        }
    }

    /// A node whose disk may be damaged without damaging a majority.
    fn pick_victim(&mut self) -> Option<usize> {
        let count = self.profile.victims.len() as u64;
        let victim = *self.profile.victims.get(self.rng.below(count) as usize)?;
        self.may_lose(victim).then_some(victim)
    }

    fn damage_tail(&mut self) {
        let Some(victim) = self.pick_victim() else { return };
        let state = &mut self.nodes[victim];
        let Some(durable) = state.replica.as_ref().map(|replica| replica.status().durable.position) else {
            return;
        };
        let names = state.disk.list().unwrap_or_default();
        let bases = names.iter().filter_map(|name| name.strip_suffix(".segment")?.parse::<u64>().ok());
        let Some(base) = bases.filter(|base| *base < durable.0).max() else { return };
        let back = 1 + self.rng.below(400.min(durable.0 - base));
        let byte = SEGMENT_BYTES - frame_room(SEGMENT_BYTES) + durable.0 - base - back;
        if state.disk.flip_bit(&format!("{base:020}.segment"), byte, self.rng.below(8) as u8) {
            self.stats.hit("damaged tails");
            state.was_damaged = true;
            let leader = self.leader();
            self.take_down(victim, None);
            // Often it is back before anybody has noticed, and does not hear the leader.
            if let Some(leader) = leader.filter(|_| self.rng.coin()) {
                self.network.block(leader, victim);
                self.calm_later(true);
                let delay = self.rng.below(20 * MS);
                self.schedule(delay, Action::Start { node: victim });
            }
        }
    }

    fn flip_bit(&mut self) {
        let Some(victim) = self.pick_victim() else { return };
        // Mostly the log; sometimes anything.
        let anything = self.rng.below(10) == 0;
        let state = &mut self.nodes[victim];
        let names = |name: &str| anything || name.ends_with(".segment");
        if let Some(flip) = state.disk.flip_random_bit(&mut self.rng, names) {
            state.was_damaged = true;
            let id = state.id.0;
            self.stats.hit("flipped bits");
            self.trace.event(
                self.now_ns,
                Some(id),
                "flip",
                || json!({"file": flip.name, "byte": flip.byte, "bit": flip.bit}),
            );
        }
    }

    pub(crate) fn leader(&self) -> Option<usize> {
        self.nodes.iter().position(|node| {
            node.paused_until_ns <= self.now_ns
                && node.replica.as_ref().is_some_and(|replica| replica.status().role == Role::Leader)
        })
    }
}
