use polars::prelude::*;

use super::*;
use crate::testing::{decision, good_frame, place, save, table, with};
use crate::write;

fn checked(frame: &DataFrame) -> Report {
    let (_folder, path) = place("logs.parquet");
    save(frame, &path);
    check(&[path])
}

#[test]
fn a_good_table_is_described() {
    let (_folder, path) = place("logs.parquet");
    write::write_table(&table(), &path).unwrap();
    let report = check(&[path]);
    assert!(report.is_good(), "{report}");
    assert_eq!(report.kind.as_deref(), Some("outcome table"));
    assert_eq!((report.n_rows, report.n_requests, report.n_models), (3, 2, 2));
    assert_eq!(report.models[0].mean_quality, Some(1.0));
    assert_eq!(report.models[0].n_unjudged, 1);
    let missing: Vec<_> = report.missing.iter().map(|m| (m.column.as_str(), m.n_null)).collect();
    assert!(missing.contains(&("cost_usd", 1)) && missing.contains(&("domain", 3)), "{missing:?}");
    assert!(report.absent.contains(&"propensity".to_owned()));
    let text = report.to_string();
    assert!(text.contains("kind        outcome table\n"), "{text}");
    assert!(text.contains("large     2   1.0000  0.0012346         1         1\n"), "{text}");
    assert!(text.ends_with("no errors\n"), "{text}");
}

#[test]
fn the_propensities_of_a_log_are_described() {
    let log = [decision("r1", "small", 0.5), decision("r2", "large", 0.25)];
    let (_folder, path) = place("logs.parquet");
    write::write_log(&log, &path).unwrap();
    let report = check(&[path]);
    let propensity = report.propensity.as_ref().unwrap();
    assert_eq!((propensity.min, propensity.max, propensity.mean_inverse), (0.25, 0.5, 3.0));
    assert_eq!(propensity.n_pmf, 2);
    assert!(propensity.max_sum_error < 1e-15);
    assert!(report.is_good() && report.suspicious.is_empty(), "{report}");
}

#[test]
fn errors_of_many_rows_are_named_and_the_rest_counted() {
    let n_rows = 40;
    let ids: Vec<_> = (0..n_rows).map(|row| format!("r{}", row / 2)).collect();
    let models: Vec<_> = (0..n_rows).map(|row| ["a", "b"][row % 2]).collect();
    let qualities: Vec<_> = (0..n_rows).map(|row| if row < 12 { 2.0 } else { 0.5 }).collect();
    let frame =
        df!("request_id" => &ids, "prompt" => &ids, "model" => &models, "quality" => &qualities);
    let report = checked(&frame.unwrap());
    assert_eq!((report.n_errors, report.errors.len()), (12, MAX_ERRORS));
    assert!(report.errors[9].contains("row 9: quality must be in [0, 1], got 2"), "{report}");
    assert_eq!(report.models[0].n_rows, 14);
    assert!(report.to_string().contains("… and 2 more"), "{report}");
}

#[test]
fn duplicates_are_counted() {
    let report = checked(&with("model", ["small", "small", "small", "large"]));
    assert_eq!((report.n_duplicates, report.n_errors), (1, 1));
}

#[test]
fn odd_rows_are_pointed_out() {
    let mut frame = with("prompt", ["one", "uno", " ", " "]);
    let more = [
        Series::new("status".into(), ["ok", "error", "ok", "ok"]),
        Series::new("cost_usd".into(), [0.0, 1.0, 1.0, 1.0]),
    ];
    for series in more {
        frame.with_column(series.into_column()).unwrap();
    }
    let report = checked(&frame);
    let found: Vec<_> =
        report.suspicious.iter().map(|s| (s.what.as_str(), s.n_rows, s.first.as_str())).collect();
    assert_eq!(
        found,
        [
            ("a cost of 0 (unknown is null)", 1, "logs.parquet:0"),
            ("a quality above 0 although the call failed", 1, "logs.parquet:1"),
            ("an empty prompt", 2, "logs.parquet:2"),
            ("another prompt than the first of its request (1 requests)", 1, "logs.parquet:1"),
        ]
    );
    assert!(report.is_good());
}

#[test]
fn a_cost_far_above_its_models_median_is_pointed_out() {
    let n = 8;
    let ids: Vec<_> = (0..n).map(|row| format!("r{row}")).collect();
    let costs: Vec<_> = (0..n).map(|row| if row == 5 { 1.0 } else { 0.001 }).collect();
    let frame = df!(
        "request_id" => &ids, "prompt" => &ids, "model" => vec!["a"; n],
        "quality" => vec![1.0; n], "cost_usd" => &costs,
    );
    let report = checked(&frame.unwrap());
    let what: Vec<_> = report.suspicious.iter().map(|s| s.what.as_str()).collect();
    let one = "only one model: there is no choice to learn";
    assert_eq!(what, ["a: a cost above 100 times its median", one]);
    assert_eq!(report.suspicious[0].first, "logs.parquet:5");
}

#[test]
fn a_group_in_two_folds_is_pointed_out() {
    let frame = df!(
        "request_id" => ["a", "a", "b", "b", "c", "c"],
        "prompt" => ["same  text", "same  text", "same text", "same text", "other", "other"],
        "model" => ["x", "y", "x", "y", "x", "y"],
        "quality" => vec![1.0; 6],
        "fold" => [0, 0, 1, 1, 1, 1],
    );
    let report = checked(&frame.unwrap());
    let found: Vec<_> = report.suspicious.iter().map(|s| (s.what.as_str(), s.n_rows)).collect();
    assert_eq!(found, [("a group in more than one fold, which a split would separate", 1)]);
    assert_eq!(report.suspicious[0].first, "logs.parquet:2");
}

#[test]
fn unreadable_and_empty_files_are_errors() {
    let (_folder, path) = place("logs.parquet");
    let report = check(std::slice::from_ref(&path));
    assert!(report.errors[0].starts_with("cannot use"), "{report}");
    std::fs::write(&path, "PAR1").unwrap();
    assert!(check(&[path]).errors[0].contains("is not a complete parquet file"));
    let report = checked(&good_frame().head(Some(0)));
    assert!(report.errors[0].contains("has 0 rows"), "{report}");
    assert_eq!(report.kind, None);
}
