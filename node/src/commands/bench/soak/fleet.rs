//! The nodes, and what is done to them.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    super::process::{self, Node},
    Chance,
};

/// Of so many nodes one is never killed or stopped, so that its memory is watched from the beginning to the end.
const STEADY: usize = 5;
/// Others that a node is told of when it starts.
const TOLD_OF: usize = 3;
/// How long a node is down, cut off, or banned by another.
const DOWN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
const APART: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(20));
const BANNED: u64 = 10;

/// Memory and descriptors of a process at some time of the run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Since the beginning of the run.
    pub(super) at: Duration,
    /// In bytes.
    pub(super) memory: f64,
    pub(super) descriptors: f64,
}

/// A node of the fleet.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) dir: PathBuf,
    /// Whether it runs through.
    pub(super) is_steady: bool,
    pub(super) node: Option<Node>,
    /// When it is started again.
    back_at: Option<Instant>,
    /// Until when it is cut off.
    apart_until: Option<Instant>,
    /// Of the process that runs now.
    pub(super) samples: Vec<Sample>,
}

/// How often what was done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Deeds {
    pub(super) kills: u32,
    pub(super) stops: u32,
    pub(super) cuts: u32,
    pub(super) bans: u32,
    pub(super) blocks: u64,
}

/// All of them.
pub(super) struct Fleet {
    spec: PathBuf,
    pub(super) members: Vec<Member>,
    pub(super) deeds: Deeds,
    /// What nodes did that nobody asked them to, a line each.
    pub(super) troubles: Vec<String>,
}

impl Fleet {
    /// Starts so many nodes, each told of some that came before.
    ///
    /// # Errors
    /// Where one does not start.
    pub(super) fn start(dir: &Path, spec: &Path, nodes: usize) -> Result<Self, String> {
        let mut fleet =
            Self { spec: spec.to_owned(), members: Vec::new(), deeds: Deeds::default(), troubles: Vec::new() };
        for number in 0..nodes {
            let name = format!("node-{}", number + 1);
            fleet.members.push(Member {
                dir: dir.join(&name),
                name,
                is_steady: number % STEADY == 0,
                node: None,
                back_at: None,
                apart_until: None,
                samples: Vec::new(),
            });
            fleet.raise(number)?;
        }
        Ok(fleet)
    }

    /// Starts a node.
    fn raise(&mut self, number: usize) -> Result<(), String> {
        let step = |step: usize| (number + step * step) % self.members.len();
        let told: Vec<String> = (1..self.members.len())
            .map(step)
            .filter(|other| *other != number)
            .filter_map(|other| self.members.get(other)?.node.as_ref()?.address().ok().map(str::to_owned))
            .take(TOLD_OF)
            .collect();
        let options: Vec<&str> = told.iter().flat_map(|address| ["--bootstrap", address]).collect();
        let Some(member) = self.members.get_mut(number) else { return Ok(()) };
        let node = process::start_logged(&member.dir, &self.spec, &options);
        member.node = Some(node.map_err(|why| format!("{}: {why}", member.name))?);
        member.samples.clear();
        Ok(())
    }

    /// Starts again who was down for long enough, and reconnects who was cut off for long enough.
    pub(super) fn restore(&mut self, now: Instant) {
        for number in 0..self.members.len() {
            let Some(member) = self.members.get_mut(number) else { continue };
            if let Some(how) = member.node.as_mut().and_then(Node::ended) {
                self.troubles.push(format!("{} ended by itself: {how}", member.name));
                (member.node, member.back_at) = (None, Some(now));
            }
            if member.apart_until.is_some_and(|until| now >= until) {
                member.apart_until = None;
                self.set_apart(number, false);
            }
            if self.members.get(number).is_some_and(|member| member.back_at.is_some_and(|at| now >= at)) {
                let raised = self.raise(number);
                self.members.iter_mut().skip(number).take(1).for_each(|member| member.back_at = None);
                self.troubles.extend(raised.err());
            }
        }
    }

    fn set_apart(&mut self, number: usize, apart: bool) {
        let Some(member) = self.members.get(number) else { return };
        let Some(node) = &member.node else { return };
        if let Err(why) = node.put("api/v1/lab", &json!({ "apart": apart })) {
            self.troubles.push(format!("{}: {why}", member.name));
        }
    }

    /// The numbers of the nodes that run, and are not cut off.
    fn whole(&self) -> Vec<usize> {
        let all = self.members.iter().enumerate();
        all.filter(|(_, member)| member.node.is_some() && member.apart_until.is_none()).map(|(at, _)| at).collect()
    }

    /// The node with this number, if it runs.
    pub(super) fn node(&self, number: usize) -> Option<&Node> {
        self.members.get(number)?.node.as_ref()
    }

    /// The numbers of the nodes that run.
    pub(super) fn running(&self) -> Vec<usize> {
        (0..self.members.len()).filter(|number| self.node(*number).is_some()).collect()
    }

    /// Mines a block on so many nodes, one after the other so fast that they may not know of each other's.
    pub(super) fn mine(&mut self, chance: &mut Chance, at_once: usize) {
        let whole = self.whole();
        for _ in 0..at_once {
            let Some(node) = chance.one_of(&whole).and_then(|number| self.node(number)) else { continue };
            match node.post("api/v1/mine", &json!({ "blocks": 1 })) {
                Ok(_) => self.deeds.blocks += 1,
                Err(why) => self.troubles.push(format!("mining: {why}")),
            }
        }
    }

    /// Does something to a node, as chance has it; half of them are always left alone.
    pub(super) fn disturb(&mut self, chance: &mut Chance, now: Instant) {
        let whole = self.whole();
        if whole.len() <= self.members.len().div_ceil(2) {
            return;
        }
        let mortal: Vec<usize> =
            whole.iter().copied().filter(|at| self.members.get(*at).is_some_and(|member| !member.is_steady)).collect();
        match chance.below(10) {
            deed @ 0..7 => {
                let Some(number) = chance.one_of(&mortal) else { return };
                let back_at = now + chance.between(DOWN.0, DOWN.1);
                self.fell(number, deed < 4, back_at);
            }
            7 | 8 => {
                let Some(number) = chance.one_of(&whole) else { return };
                let until = now + chance.between(APART.0, APART.1);
                self.set_apart(number, true);
                self.members.iter_mut().skip(number).take(1).for_each(|member| member.apart_until = Some(until));
                self.deeds.cuts += 1;
            }
            _ => self.ban(chance, &whole),
        }
    }

    fn fell(&mut self, number: usize, kill: bool, back_at: Instant) {
        let Some(member) = self.members.get_mut(number) else { return };
        let Some(node) = member.node.take() else { return };
        member.back_at = Some(back_at);
        if kill {
            node.kill();
            self.deeds.kills += 1;
        } else {
            self.deeds.stops += 1;
            let stopped = node.stop();
            self.troubles.extend(stopped.err().map(|why| format!("{}: {why}", member.name)));
        }
    }

    /// One node bans another for a while.
    fn ban(&mut self, chance: &mut Chance, whole: &[usize]) {
        let (Some(by), Some(of)) = (chance.one_of(whole), chance.one_of(whole)) else { return };
        if by == of {
            return;
        }
        let Some(peer) = self.node(of).map(|node| node.file.peer_id.clone()) else { return };
        let Some(node) = self.node(by) else { return };
        match node.post("api/v1/bans", &json!({ "peer": peer, "seconds": BANNED })) {
            Ok(_) => self.deeds.bans += 1,
            Err(why) => self.troubles.push(format!("banning: {why}")),
        }
    }

    /// Notes what the system says of the processes.
    pub(super) fn sample(&mut self, at: Duration) {
        for member in &mut self.members {
            let Some(usage) = member.node.as_ref().and_then(Node::usage) else { continue };
            member.samples.push(Sample { at, memory: usage.memory, descriptors: usage.descriptors });
        }
    }

    /// Undoes all that was done: everybody runs, nobody is cut off.
    pub(super) fn heal(&mut self) {
        let far = Instant::now() + DOWN.1 + APART.1;
        self.restore(far);
    }

    fn statuses(&self) -> Vec<Option<Value>> {
        self.members.iter().map(|member| member.node.as_ref()?.get("api/v1/status").ok()).collect()
    }

    /// Whether all have the same last block and the same state, and nothing left to mine.
    pub(super) fn agree(&self) -> bool {
        let of = |status: &Value| {
            let empty = status.pointer("/pool/transactions").and_then(Value::as_u64) == Some(0);
            Some((status.get("tip")?.clone(), status.get("state_root")?.clone(), empty))
        };
        let all: Vec<_> = self.statuses().iter().map(|status| status.as_ref().and_then(of)).collect();
        all.first().is_some_and(|first| first.as_ref().is_some_and(|(_, _, empty)| *empty))
            && all.windows(2).all(|pair| pair.first() == pair.last())
    }

    /// The first node with something in its pool mines a block.
    pub(super) fn mine_what_waits(&mut self) {
        let waiting = |status: &Option<Value>| {
            status.as_ref().and_then(|status| status.pointer("/pool/transactions")?.as_u64()).is_some_and(|n| n > 0)
        };
        let number = self.statuses().iter().position(waiting);
        if let Some(node) = number.and_then(|number| self.node(number)) {
            match node.post("api/v1/mine", &json!({ "blocks": 1 })) {
                Ok(_) => self.deeds.blocks += 1,
                Err(why) => self.troubles.push(format!("mining: {why}")),
            }
        }
    }

    /// Where each node is, for a person who wonders why they do not agree.
    pub(super) fn standings(&self) -> String {
        let field = |status: &Option<Value>, path: &str| {
            let value = status.as_ref().and_then(|status| status.pointer(path)).cloned().unwrap_or_default();
            value.as_str().map_or_else(|| value.to_string(), |text| text.chars().take(8).collect())
        };
        let all = self.members.iter().zip(self.statuses());
        let lines = all.map(|(member, status)| {
            let (height, tip) = (field(&status, "/height"), field(&status, "/tip"));
            let (peers, pool) = (field(&status, "/peers"), field(&status, "/pool/transactions"));
            format!("{} at {height} ({tip}), {peers} peers, {pool} in its pool", member.name)
        });
        lines.collect::<Vec<_>>().join("; ")
    }

    /// What was done so far, in a line.
    pub(super) fn summary(&self) -> String {
        let Deeds { kills, stops, cuts, bans, blocks } = self.deeds;
        let running = self.running().len();
        format!("{running} nodes run; so far {blocks} blocks, {kills} kills, {stops} stops, {cuts} cuts, {bans} bans")
    }
}
