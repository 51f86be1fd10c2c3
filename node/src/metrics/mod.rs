//! What the node counts, and the registry that tells it as OpenMetrics text.
//!
//! Owners hold small recorders ([`Chain`], [`Relay`], [`Api`]) and count as they work: an atomic addition each. What is a
//! state rather than a count (height, pool, peers) is read from its owner when somebody asks, by a collector that
//! [`Metrics::sample`] registers. Reading lists nothing that grows with the chain.

mod disk;
mod process;
mod recorders;
mod text;

use std::path::Path;

use bard_chain::{mempool::PoolRefusal, units::Timestamp};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text::encode},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};

use self::{disk::Disk, process::Process};
pub use self::{
    process::resident_bytes,
    recorders::{Api, Chain, Relay},
    text::plain,
};

/// The registry and the recorders of a node.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// For the keeper.
    pub chain: Chain,
    /// For the relay.
    pub relay: Relay,
    /// For the HTTP server.
    pub api: Api,
}

impl Metrics {
    /// A registry with everything in it that needs no other part of the node. `started` is when the process began.
    pub fn new(chain_name: &str, chain_id: &str, started: Timestamp) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process::new(started)));
        let own = registry.sub_registry_with_prefix("bard");
        own.register_collector(Box::new(About {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            name: chain_name.to_owned(),
            id: chain_id.to_owned(),
        }));
        let (chain, relay, api) = (Chain::default(), Relay::default(), Api::default());
        chain.register(own);
        relay.register(own);
        api.register(own);
        Self { registry, chain, relay, api }
    }

    /// Registers what is left on the disk of a data directory.
    pub fn watch_disk(&mut self, dir: &Path) {
        self.sample(Box::new(Disk::new(dir)));
    }

    /// The registry itself, for parts that register what they count by themselves.
    pub fn registry(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// Registers what is read from its owner whenever somebody asks; names are under `bard_`.
    pub fn sample(&mut self, collector: Box<dyn Collector>) {
        self.registry.sub_registry_with_prefix("bard").register_collector(collector);
    }

    /// Everything as OpenMetrics text.
    pub fn open_metrics(&self) -> String {
        let mut text = String::with_capacity(32 << 10);
        // Writing to a string fails only where a metric cannot be written in this format, which none of ours is.
        if let Err(error) = encode(&mut text, &self.registry) {
            tracing::error!(%error, "the metrics cannot be written");
        }
        text
    }
}

/// What is written of one metric that a collector reads: a name, what it means, in which unit.
pub struct Sheet<'a>(DescriptorEncoder<'a>);

impl<'a> Sheet<'a> {
    /// Writes where a collector is told to.
    pub fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self(encoder)
    }

    /// A value that goes up and down.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn gauge(&mut self, name: &str, help: &str, unit: Option<&Unit>, value: f64) -> std::fmt::Result {
        let gauge = ConstGauge::new(value);
        gauge.encode(self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?)
    }

    /// A count since the start.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn counter(&mut self, name: &str, help: &str, unit: Option<&Unit>, value: f64) -> std::fmt::Result {
        let counter = ConstCounter::new(value);
        counter.encode(self.0.encode_descriptor(name, help, unit, MetricType::Counter)?)
    }

    /// Values that go up and down, by labels; nothing is written of none.
    ///
    /// # Errors
    /// Where they cannot be written.
    pub fn gauges<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = ([(&'static str, String); N], f64)>,
    ) -> std::fmt::Result {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// Counts since the start, by labels.
    ///
    /// # Errors
    /// Where they cannot be written.
    pub fn counters<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = ([(&'static str, String); N], f64)>,
    ) -> std::fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// What runs here, as labels of a constant.
#[derive(Debug)]
struct About {
    version: String,
    name: String,
    id: String,
}

impl Collector for About {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let mut sheet = Sheet::new(encoder);
        sheet.gauges("build_info", "The software that runs, always 1", [([("version", self.version.clone())], 1.0)])?;
        let chain = [("name", self.name.clone()), ("id", self.id.clone())];
        sheet.gauges("chain_info", "The chain that is followed, always 1", [(chain, 1.0)])
    }
}

/// Why a transaction is not admitted, as a label: few and fixed.
pub fn pool_reason(refusal: &PoolRefusal) -> &'static str {
    use bard_chain::invalid::Blame;
    match refusal {
        PoolRefusal::AlreadyKnown => "known",
        PoolRefusal::Full { .. } | PoolRefusal::FullBehind => "full",
        PoolRefusal::SenderFull { .. } => "sender_full",
        PoolRefusal::FeeTooLow { .. } => "fee_too_low",
        PoolRefusal::TooManyFollow { .. } => "too_many_follow",
        PoolRefusal::WaitingFull { .. } => "waiting_full",
        PoolRefusal::Fault(fault) if fault.blame() == Blame::Sender => "invalid",
        PoolRefusal::Fault(_) => "state",
        PoolRefusal::Source(_) => "store",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_told_in_both_formats() {
        let metrics = Metrics::new("dev", "ab\"c", Timestamp::new(1_500));
        metrics.chain.admitted.inc();
        metrics.chain.committed(3, std::time::Duration::from_millis(2));
        metrics.relay.judged("block", "accept");
        metrics.api.answered("GET", "/api/v1/blocks/{id}", 200, std::time::Duration::from_millis(1));
        let open = metrics.open_metrics();
        assert!(open.ends_with("# EOF\n"), "{open}");
        for line in [
            "bard_chain_info{name=\"dev\",id=\"ab\\\"c\"} 1.0",
            "# TYPE bard_pool_admitted counter",
            "bard_pool_admitted_total 1",
            "bard_relay_messages_total{kind=\"block\",verdict=\"accept\"} 1",
            "bard_http_requests_total{method=\"GET\",route=\"/api/v1/blocks/{id}\",status=\"200\"} 1",
            "bard_store_commit_seconds_count 1",
            "process_start_time_seconds 1.5",
        ] {
            assert!(open.lines().any(|found| found == line), "{line} is not in {open}");
        }
        let plain = plain(&open);
        assert!(plain.contains("# TYPE bard_pool_admitted_total counter\nbard_pool_admitted_total 1\n"), "{plain}");
        assert!(!plain.contains("# UNIT") && !plain.contains("# EOF"), "{plain}");
    }
}
