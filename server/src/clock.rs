//! The one place where the clock is read.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Microseconds since 1970 UTC.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the time of day")]
pub(crate) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// A moment to measure from.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
pub(crate) fn instant() -> Instant {
    Instant::now()
}

/// Milliseconds since then.
pub(crate) fn millis_since(then: Instant) -> f64 {
    instant().duration_since(then).as_secs_f64() * 1e3
}
