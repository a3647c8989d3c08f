//! Small panels for tests and benchmarks.

use router_core::{ModelId, Outcome, OutcomeTable, Quality, RequestRow, Usd};

use crate::panel::Panel;

/// A table with models `a`, `b`, …; one row of qualities per request, and one cost per model.
///
/// # Panics
///
/// If a quality or cost is out of range.
pub fn table(quality: &[&[f64]], cost: &[f64]) -> OutcomeTable {
    let name = |j: usize| ModelId::new(format!("{}", ('a'..).nth(j).expect("few models")));
    let cell = |(j, q): (usize, &f64)| {
        Some(Outcome {
            quality: Some(Quality::try_from(*q).expect("test qualities are valid")),
            cost: cost.get(j).map(|c| Usd::from_dollars(*c).expect("test costs are valid")),
            ..Outcome::default()
        })
    };
    let request = |i: usize| RequestRow {
        request_id: format!("r{i:05}"),
        prompt: format!("question {i}"),
        group: format!("g{i:05}"),
        fold: i32::try_from(i % 5).ok(),
        ..RequestRow::default()
    };
    OutcomeTable {
        models: (0..quality[0].len()).map(|j| name(j).expect("names are valid")).collect(),
        requests: (0..quality.len()).map(request).collect(),
        outcomes: quality.iter().flat_map(|row| row.iter().enumerate().map(cell)).collect(),
    }
}

/// The complete cases of [`table`].
///
/// # Panics
///
/// As [`table`].
pub fn panel(quality: &[&[f64]], cost: &[f64]) -> Panel {
    Panel::new(&table(quality, cost)).expect("every cell is known")
}
