//! The files of a report.

use std::path::{Path, PathBuf};

use datasets::DatasetError;
use datasets::write::{Column, write_columns};

use super::chart::ChartError;
use super::{Report, html, json};

/// Why a report cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A file.
    #[error("cannot write {path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A figure.
    #[error(transparent)]
    Chart(#[from] ChartError),
    /// The curve.
    #[error(transparent)]
    Curve(#[from] DatasetError),
}

/// Writes `report.html`, `report.json`, `curve.parquet` and the figures as SVG into a folder, which
/// is made if need be.
///
/// # Errors
///
/// If a file cannot be written.
pub fn write(report: &Report, out: &Path) -> Result<(), WriteError> {
    std::fs::create_dir_all(out)
        .map_err(|error| WriteError::File { path: out.to_path_buf(), error })?;
    file(&out.join("report.json"), &json::to_json(report))?;
    let figures = html::figures(report)?;
    for figure in &figures {
        file(&out.join(format!("{}.svg", figure.name)), &figure.svg)?;
    }
    file(&out.join("report.html"), &html::to_html(report, &figures))?;
    Ok(curve(report, &out.join("curve.parquet"))?)
}

fn file(path: &Path, text: &str) -> Result<(), WriteError> {
    std::fs::write(path, text).map_err(|error| WriteError::File { path: path.to_path_buf(), error })
}

/// `policy`, `lambda` (null where there is none), `cost_usd`, `quality`.
fn curve(report: &Report, path: &Path) -> Result<(), DatasetError> {
    let (mut policy, mut lambda, mut cost, mut quality) = (vec![], vec![], vec![], vec![]);
    for of in report.routers.iter().chain(&report.baselines) {
        for at in &of.curve {
            policy.push(of.name.clone());
            lambda.push(at.lambda);
            cost.push(report.cheapest.as_ref().map(|_| at.point.cost));
            quality.push(at.point.quality);
        }
    }
    write_columns(
        path,
        &[
            ("policy", Column::Text(policy)),
            ("lambda", Column::Optional(lambda)),
            ("cost_usd", Column::Optional(cost)),
            ("quality", Column::F64(quality)),
        ],
    )
}
