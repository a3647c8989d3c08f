//! Numbers as people read them.

use crate::bootstrap::Interval;

/// `73.7 %`.
pub(crate) fn percent(value: f64) -> String {
    format!("{:.1} %", 100.0 * value)
}

/// `71.2 to 75.1 %`, with the reason where an end is open.
pub(crate) fn percent_range(interval: Interval) -> String {
    let end = |end: Option<f64>| end.map(|end| format!("{:.1}", 100.0 * end));
    match (end(interval.low), end(interval.high)) {
        (Some(low), Some(high)) => format!("{low} to {high} %"),
        (Some(low), None) => format!("from {low} %, upper end not reached"),
        (None, Some(high)) => format!("up to {high} %, lower end not reached"),
        (None, None) => "not reached".to_owned(),
    }
}

/// A table cell: the value, and its interval below in small print.
pub(crate) fn cell(interval: Option<Interval>, is_percent: bool) -> String {
    let Some(figure) = interval else { return "<td>–</td>".to_owned() };
    let text = |value: f64| match is_percent {
        true => format!("{:.1}", 100.0 * value),
        false => format!("{value:.3}"),
    };
    let end = |end: Option<f64>| end.map_or_else(|| "n/r".to_owned(), text);
    let unit = if is_percent { " %" } else { "" };
    let (low, high) = (end(figure.low), end(figure.high));
    format!("<td>{}{unit}<small>{low} – {high}</small></td>", text(figure.value))
}

/// Dollars for 1,000 requests, with three significant digits.
pub(crate) fn per_thousand(cost: f64) -> String {
    let dollars = 1000.0 * cost;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 6")]
    let decimals = (2.0 - dollars.max(1e-4).log10().floor()).clamp(0.0, 6.0) as usize;
    format!("${dollars:.decimals$}")
}

/// A number with separators between thousands.
pub(crate) fn count(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Text that is safe inside HTML.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other if other.is_control() => {
                safe.push('\u{fffd}');
            }
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_text_is_harmless() {
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(999), "999");
        assert_eq!(per_thousand(0.005_015_295), "$5.02");
        assert_eq!(per_thousand(0.000_081_279), "$0.0813");
        assert_eq!(percent(0.7368), "73.7 %");
        assert_eq!(
            escape("<script>\"a&b\"</script>"),
            "&lt;script&gt;&quot;a&amp;b&quot;&lt;/script&gt;"
        );
        let open = Interval { value: 0.5, low: Some(0.4), high: None };
        assert_eq!(percent_range(open), "from 40.0 %, upper end not reached");
    }
}
