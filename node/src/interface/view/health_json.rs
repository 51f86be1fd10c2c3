//! The health of a node as JSON.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::application::health::Rule;

/// How a node is, by its rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// Whether all rules hold, in a word or two.
    pub status: HealthStatus,
    /// Each rule as it stands.
    pub rules: Vec<HealthRule>,
}

/// Whether all rules hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum HealthStatus {
    /// The node is alive.
    #[serde(rename = "ok")]
    Ok,
    /// It is not.
    #[serde(rename = "stuck")]
    Stuck,
    /// It is synced and connected as configured.
    #[serde(rename = "ready")]
    Ready,
    /// It is not.
    #[serde(rename = "not ready")]
    NotReady,
}

/// A rule as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthRule {
    /// Its name.
    pub rule: Cow<'static, str>,
    /// Whether it holds.
    pub ok: bool,
    /// What was found; null where nothing answered.
    #[schema(required)]
    pub value: Option<u64>,
    /// What is allowed or asked for.
    pub limit: u64,
}

impl Health {
    /// Rules, and what to say of them when all hold and when not.
    pub fn new(rules: &[Rule], good: HealthStatus, bad: HealthStatus) -> Self {
        let status = if rules.iter().all(|rule| rule.holds) { good } else { bad };
        Self { status, rules: rules.iter().map(Into::into).collect() }
    }

    /// Whether all rules hold.
    pub fn is_good(&self) -> bool {
        self.rules.iter().all(|rule| rule.ok)
    }
}

impl From<&Rule> for HealthRule {
    fn from(rule: &Rule) -> Self {
        Self { rule: rule.name.into(), ok: rule.holds, value: rule.value, limit: rule.limit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_broken_rule_is_enough_and_a_client_reads_it() {
        let rule = |holds| Rule { name: "peers", holds, value: Some(0), limit: 1 };
        let health = Health::new(&[rule(true), rule(false)], HealthStatus::Ready, HealthStatus::NotReady);
        assert_eq!((health.status, health.is_good()), (HealthStatus::NotReady, false));
        let text = serde_json::to_string(&health).expect("JSON");
        assert!(text.contains(r#""status":"not ready""#), "{text}");
        assert_eq!(serde_json::from_str::<Health>(&text).expect("read again"), health);
    }
}
