//! The one place that reads the wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

use bard_chain::units::Timestamp;

/// The time by this machine's clock; before 1970, that of 1970.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The time that is so much later.
pub fn after(time: Timestamp, passed: std::time::Duration) -> Timestamp {
    Timestamp::new(time.get().saturating_add(u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)))
}

/// The time that is so much earlier.
pub fn before(time: Timestamp, passed: std::time::Duration) -> Timestamp {
    Timestamp::new(time.get().saturating_sub(u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)))
}

/// How long this process has kept processors busy, all of them together; `None` where the system does not tell.
pub fn processor_time() -> Option<std::time::Duration> {
    #[cfg(unix)]
    {
        use rustix::time::{ClockId, clock_gettime};
        clock_gettime(ClockId::ProcessCPUTime).try_into().ok()
    }
    #[cfg(not(unix))]
    None
}

/// A time as RFC 3339 with milliseconds in UTC, as in the HTTP API.
pub fn rfc3339(time: Timestamp) -> String {
    i64::try_from(time.get())
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .map_or_else(|| format!("{time} ms"), |time| format!("{time:.3}"))
}

/// The time that a text in RFC 3339 means; `None` for any other text, and for times before 1970.
pub fn from_rfc3339(text: &str) -> Option<Timestamp> {
    let time: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(time.as_millisecond()).ok().map(Timestamp::new)
}

/// A time in the reader's own zone, for people.
pub fn local(time: Timestamp) -> String {
    i64::try_from(time.get()).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()).map_or_else(
        || format!("{time} ms"),
        |time| time.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_the_contract_says() {
        let text = "2026-01-01T00:00:00.007Z";
        assert_eq!(rfc3339(Timestamp::new(1_767_225_600_007)), text);
        assert_eq!(from_rfc3339(text), Some(Timestamp::new(1_767_225_600_007)));
        assert_eq!((from_rfc3339("1969-12-31T23:59:59Z"), from_rfc3339("soon")), (None, None));
    }
}
