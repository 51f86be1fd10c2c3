//! What the doctor found, one thing at a time, and how it is shown.

use serde::Serialize;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// As it should be.
    Ok,
    /// It may keep peers away.
    Warning,
    /// It keeps peers away.
    Fault,
}

impl Verdict {
    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Fault => "FAULT",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What was looked at.
    pub(super) check: &'static str,
    /// How it is.
    pub(super) verdict: Verdict,
    /// What that means, in a line.
    pub(super) meaning: String,
    /// What to do, in a line; nothing where all is well.
    pub(super) advice: Option<String>,
}

impl Finding {
    /// All is well.
    pub(super) fn ok(check: &'static str, meaning: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, meaning: meaning.into(), advice: None }
    }

    /// Something may be wrong.
    pub(super) fn warning(check: &'static str, meaning: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Warning, meaning: meaning.into(), advice: Some(advice.into()) }
    }

    /// Something is wrong.
    pub(super) fn fault(check: &'static str, meaning: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Fault, meaning: meaning.into(), advice: Some(advice.into()) }
    }

    /// A fault, or a warning where there are other ways to find peers.
    pub(super) fn fault_unless(
        others: bool,
        check: &'static str,
        meaning: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let verdict = if others { Verdict::Warning } else { Verdict::Fault };
        Self { check, verdict, meaning: meaning.into(), advice: Some(advice.into()) }
    }
}

/// All findings as text: a line each, and what to do below it.
pub(super) fn as_text(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.check.len()).max().unwrap_or_default();
    let one = |finding: &Finding| {
        let line = format!("{:7}  {:width$}  {}", finding.verdict.name(), finding.check, finding.meaning);
        match &finding.advice {
            Some(advice) => format!("{line}\n{:7}  {:width$}  -> {advice}", "", ""),
            None => line,
        }
    };
    findings.iter().map(one).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_is_below_what_it_is_about() {
        let findings = [Finding::ok("clock", "right"), Finding::fault("API port", "taken", "take another")];
        let expected = "ok       clock     right\nFAULT    API port  taken\n                   -> take another";
        assert_eq!(as_text(&findings), expected);
        assert!(Verdict::Fault > Verdict::Warning && Verdict::Warning > Verdict::Ok);
    }
}
