//! A report as aligned plain text.

use std::fmt;

use super::Report;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.as_deref().unwrap_or("neither an outcome table nor a log");
        writeln!(f, "kind        {kind}")?;
        writeln!(f, "files       {}", self.files.join(", "))?;
        writeln!(f, "rows        {}", self.n_rows)?;
        writeln!(f, "requests    {}", self.n_requests)?;
        writeln!(f, "models      {}", self.n_models)?;
        writeln!(f, "duplicates  {}", self.n_duplicates)?;
        self.write_models(f)?;
        self.write_columns(f)?;
        self.write_propensity(f)?;
        self.write_findings(f)
    }
}

impl Report {
    fn write_models(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.models.is_empty() {
            return Ok(());
        }
        let mut rows = vec![
            ["model", "rows", "quality", "cost_usd", "unjudged", "unpriced"].map(str::to_owned),
        ];
        for model in &self.models {
            let shown = |value: Option<f64>, digits: usize| {
                value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
            };
            rows.push([
                model.model.clone(),
                model.n_rows.to_string(),
                shown(model.mean_quality, 4),
                shown(model.mean_cost_usd, 7),
                model.n_unjudged.to_string(),
                model.n_unpriced.to_string(),
            ]);
        }
        writeln!(f)?;
        f.write_str(&aligned(&rows))
    }

    fn write_columns(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.missing.is_empty() {
            let mut rows = vec![["column", "null"].map(str::to_owned)];
            rows.extend(self.missing.iter().map(|m| [m.column.clone(), m.n_null.to_string()]));
            write!(f, "\n{}", aligned(&rows))?;
        }
        if self.absent.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nno column   {}", self.absent.join(", "))
    }

    fn write_propensity(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(propensity) = &self.propensity else { return Ok(()) };
        writeln!(f, "\npropensity  {:.6} to {:.6}", propensity.min, propensity.max)?;
        writeln!(f, "mean 1/p    {:.4}", propensity.mean_inverse)?;
        writeln!(f, "pmf         {} recorded", propensity.n_pmf)?;
        if propensity.n_pmf > 0 {
            writeln!(f, "pmf sum     within {:.1e} of 1", propensity.max_sum_error)?;
            writeln!(f, "pmf entry   within {:.1e} of the propensity", propensity.max_entry_error)?;
        }
        Ok(())
    }

    fn write_findings(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.suspicious.is_empty() {
            let mut rows = vec![["suspicious", "rows", "first"].map(str::to_owned)];
            rows.extend(
                self.suspicious
                    .iter()
                    .map(|s| [s.what.clone(), s.n_rows.to_string(), s.first.clone()]),
            );
            write!(f, "\n{}", aligned(&rows))?;
        }
        if self.is_good() {
            return writeln!(f, "\nno errors");
        }
        let noun = if self.n_errors == 1 { "error" } else { "errors" };
        writeln!(f, "\n{} {noun} (rows count from 0)", self.n_errors)?;
        for error in &self.errors {
            writeln!(f, "  {error}")?;
        }
        if self.n_errors > self.errors.len() {
            writeln!(f, "  … and {} more", self.n_errors - self.errors.len())?;
        }
        Ok(())
    }
}

/// Columns of equal width: the first to the left, the others to the right.
fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for row in rows {
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let gap = " ".repeat(width - cell.chars().count());
            match column {
                0 => text.extend([cell, gap.as_str()]),
                _ => text.extend(["  ", gap.as_str(), cell]),
            }
        }
        text.push('\n');
    }
    text
}
