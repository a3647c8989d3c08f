use polars::prelude::*;
use router_core::Tokens;

use super::*;
use crate::testing::{decision, good_frame, place, save, table, with};
use crate::{write, write::Column};

/// What `open` says of a frame.
fn message(frame: &DataFrame) -> String {
    let (_folder, path) = place("logs.parquet");
    save(frame, &path);
    let error = open(std::slice::from_ref(&path)).unwrap_err().to_string();
    error.replace(&path.display().to_string(), "FILE")
}

fn opened(frame: &DataFrame) -> Dataset {
    let (_folder, path) = place("logs.parquet");
    save(frame, &path);
    open(&[path]).unwrap().data
}

#[test]
fn a_table_comes_back_as_written() {
    let (_folder, path) = place("logs.parquet");
    write::write_table(&table(), &path).unwrap();
    let opened = open(std::slice::from_ref(&path)).unwrap();
    assert_eq!(opened.data, Dataset::Table(table()));
    assert_eq!(opened.sources[0].name, "logs.parquet");
    assert_eq!(opened.sources[0].n_rows, 3);
    assert_eq!(opened.sources[0].sha256.len(), 64);
}

#[test]
fn a_log_comes_back_as_written() {
    let mut log = vec![decision("r1", "small", 0.75), decision("r2", "large", 1.0)];
    log[1].pmf = Vec::new();
    log[1].timestamp_us = None;
    log[1].quality_source = None;
    log[1].outcome.quality = None;
    let (_folder, path) = place("logs.parquet");
    write::write_log(&log, &path).unwrap();
    assert_eq!(open(&[path]).unwrap().data, Dataset::Log(log));
}

#[test]
fn the_same_rows_give_the_same_bytes() {
    let (_folder, path) = place("a.parquet");
    write::write_table(&table(), &path).unwrap();
    let first = std::fs::read(&path).unwrap();
    write::write_table(&table(), &path).unwrap();
    assert_eq!(first, std::fs::read(&path).unwrap());
}

#[test]
fn a_folder_is_read_in_the_order_of_names() {
    let (folder, path) = place("b.parquet");
    write::write_log(&[decision("r1", "small", 0.5)], &path).unwrap();
    write::write_log(&[decision("r0", "small", 0.5)], &folder.path().join("a.parquet")).unwrap();
    std::fs::write(folder.path().join("notes.txt"), "not read").unwrap();
    let opened = open(&[folder.path().to_owned()]).unwrap();
    let Dataset::Log(log) = opened.data else { panic!("a log was written") };
    let ids: Vec<_> = log.iter().map(|d| d.request.request_id.as_str()).collect();
    assert_eq!(ids, ["r0", "r1"]);
    let twice = open(&[path.clone(), path]).unwrap_err().to_string();
    assert!(twice.contains("first in row 0 of an earlier file"), "{twice}");
}

#[test]
fn narrow_wide_and_unknown_columns_are_read() {
    let mut frame = with("prompt_tokens", [1_i32, 2, 3, 4]);
    let more = [
        Series::new("completion_tokens".into(), [1.0_f64, 2.0, 3.0, 4.0]),
        Series::new("latency_ms".into(), [1_u32, 2, 3, 4]),
        Series::new("cost_usd".into(), [0.5_f32, 0.5, 0.5, 0.5]),
        Series::new("ours".into(), ["x", "x", "x", "x"]),
        Series::new_null("task".into(), 4),
    ];
    for series in more {
        frame.with_column(series.into_column()).unwrap();
    }
    let Dataset::Table(table) = opened(&frame) else { panic!("no propensities") };
    let small = table.outcome(1, 1).unwrap();
    assert_eq!(table.models[1].as_str(), "small");
    assert_eq!(small.prompt_tokens, Some(Tokens(3)));
    assert_eq!(small.completion_tokens, Some(Tokens(3)));
    assert_eq!(small.latency_ms, Some(3.0));
    assert_eq!(small.cost.unwrap().nanos(), 500_000_000);
    assert_eq!(table.requests[0].task, None);
}

#[test]
fn the_default_group_is_the_folded_prompt() {
    let Dataset::Table(table) = opened(&good_frame()) else { panic!("no propensities") };
    assert_eq!(table.requests[0].group, crate::split::default_group(" one\n"));
}

#[test]
fn the_first_prompt_of_a_request_is_kept() {
    let Dataset::Table(table) = opened(&with("prompt", ["one", "uno", "two", "two"])) else {
        panic!("no propensities")
    };
    assert_eq!(table.requests[0].prompt, "one");
}

#[test]
fn a_file_without_rows_is_refused() {
    let error = message(&good_frame().head(Some(0)));
    assert_eq!(error, "FILE has 0 rows, at least 1 is needed");
}

#[test]
fn a_file_without_quality_is_refused() {
    let error = message(&good_frame().drop("quality").unwrap());
    let columns = "its columns are request_id, prompt, model";
    assert_eq!(error, format!("FILE has no column `quality`; {columns}"));
}

#[test]
fn a_missing_column_is_named() {
    let error = message(&good_frame().drop("prompt").unwrap());
    assert!(error.starts_with("FILE has no column `prompt`"), "{error}");
}

#[test]
fn a_quality_above_one_is_refused() {
    let error = message(&with("quality", [0.0, 1.0, 1.2, 0.5]));
    let row = "row 2: quality must be in [0, 1], got 1.2";
    assert_eq!(error, format!("FILE: {row} (rows count from 0)"));
}

#[test]
fn a_quality_that_is_not_a_number_is_refused() {
    let error = message(&with("quality", [0.0, f64::NAN, 1.0, 0.5]));
    assert!(error.contains("row 1: quality must be in [0, 1], got NaN"), "{error}");
}

#[test]
fn a_negative_cost_is_refused() {
    let error = message(&with("cost_usd", [0.1, 0.1, 0.1, -0.5]));
    let row = "row 3: cost_usd must be at least 0 and at most 1e9, got -0.5";
    assert!(error.contains(row), "{error}");
}

#[test]
fn a_propensity_of_zero_is_refused() {
    let error = message(&with("propensity", [0.0, 1.0, 1.0, 1.0]));
    assert!(error.contains("row 0: propensity must be in (0, 1], got 0"), "{error}");
}

#[test]
fn a_second_outcome_of_a_model_is_refused() {
    let error = message(&with("model", ["small", "small", "small", "large"]));
    let row = "row 1: model must occur once per request (first in row 0), got small again for \
               request r1";
    assert!(error.contains(row), "{error}");
}

#[test]
fn negative_or_broken_counts_are_refused() {
    let error = message(&with("prompt_tokens", [1_i64, -2, 3, 4]));
    assert!(error.contains("row 1: prompt_tokens must be at least 0, got -2"), "{error}");
    let error = message(&with("prompt_tokens", [1.0, 2.5, 3.0, 4.0]));
    assert!(error.contains("row 1: prompt_tokens must be a whole number, got 2.5"), "{error}");
    let error = message(&with("latency_ms", [1.0, f64::INFINITY, 3.0, 4.0]));
    assert!(error.contains("row 1: latency_ms must be at least 0 and finite, got inf"), "{error}");
}

#[test]
fn unknown_words_and_types_are_refused() {
    let error = message(&with("status", ["ok", "okay", "ok", "ok"]));
    assert!(error.contains("row 1: status must be ok, error or timeout, got \"okay\""), "{error}");
    let error = message(&with("quality", ["a", "b", "c", "d"]));
    assert_eq!(error, "FILE: column `quality` must hold numbers, got str");
    let error = message(&with("model", ["small", " large", "small", "large"]));
    assert!(error.contains("row 1: model must not be empty or have spaces"), "{error}");
    let error = message(&with("prompt", [Some("one"), None, Some("two"), None]));
    assert!(error.contains("row 1: prompt must be known, got null"), "{error}");
}

#[test]
fn a_truncated_parquet_is_refused() {
    let (_folder, path) = place("logs.parquet");
    write::write_table(&table(), &path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for n_bytes in [0, 3, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..n_bytes]).unwrap();
        let error = open(std::slice::from_ref(&path)).unwrap_err().to_string();
        assert!(error.contains("logs.parquet is not a complete parquet file"), "{error}");
    }
}

#[test]
fn a_mix_of_table_and_log_is_refused() {
    let error = message(&with("propensity", [None, None, Some(0.5), None]));
    assert!(error.contains("row 2: propensity must be null, as in the rows before it"), "{error}");
    let frame = with("request_id", ["r1", "r2", "r3", "r4"]);
    let mut frame = frame;
    let half = Series::new("propensity".into(), [Some(0.5), None, None, None]);
    frame.with_column(half.into_column()).unwrap();
    let error = message(&frame);
    assert!(error.contains("row 1: propensity must be known, as in the rows before"), "{error}");
}

#[test]
fn several_models_of_one_request_in_a_log_are_refused() {
    let error = message(&with("propensity", [0.5, 0.5, 0.5, 0.5]));
    assert!(error.contains("row 1: request_id must occur once in a log"), "{error}");
}

#[test]
fn what_is_neither_table_nor_log_is_refused() {
    let error = message(&with("request_id", ["r1", "r2", "r3", "r4"]));
    assert_eq!(
        error,
        "neither an outcome table nor a log: each of 4 requests was answered by one of 2 models, \
         and no propensity is recorded"
    );
}

#[test]
fn choices_without_propensities_are_taken_where_that_is_asked_for() {
    let (_folder, path) = place("logs.parquet");
    save(&with("request_id", ["r1", "r2", "r3", "r4"]), &path);
    let Dataset::Table(table) = open_choices(&[path]).unwrap().data else { panic!("no log") };
    assert_eq!(table.requests.len(), 4);
    assert_eq!(table.outcomes.iter().flatten().count(), 4);
}

#[test]
fn a_pmf_that_contradicts_itself_is_refused() {
    let mut log = vec![decision("r1", "small", 0.75)];
    let (_folder, path) = place("logs.parquet");
    let mut refused = |change: fn(&mut router_core::LoggedDecision)| {
        log[0] = decision("r1", "small", 0.75);
        change(&mut log[0]);
        write::write_log(&log, &path).unwrap();
        open(std::slice::from_ref(&path)).unwrap_err().to_string()
    };
    let error = refused(|d| d.pmf[1].1 = 0.5);
    assert!(error.contains("row 0: pmf must sum to 1, got 1.25"), "{error}");
    let error = refused(|d| d.model = crate::testing::id("other"));
    assert!(error.contains("row 0: model must be one of `eligible`, got other"), "{error}");
    let error = refused(|d| d.propensity = 0.5.try_into().unwrap());
    assert!(error.contains("propensity must equal its entry of pmf (0.75), got 0.5"), "{error}");
}

#[test]
fn columns_of_a_curve_are_written() {
    let (_folder, path) = place("curve.parquet");
    let columns = [
        ("cost", Column::F64(vec![0.5, 1.5])),
        ("low", Column::Optional(vec![None, Some(1.0)])),
        ("n", Column::I64(vec![1, 2])),
        ("name", Column::Text(vec!["a".into(), "b".into()])),
    ];
    write::write_columns(&path, &columns).unwrap();
    let frame = ParquetReader::new(File::open(&path).unwrap()).finish().unwrap();
    assert_eq!(frame.shape(), (2, 4));
    assert_eq!(frame.column("low").unwrap().null_count(), 1);
    let uneven = [("a", Column::I64(vec![1])), ("b", Column::I64(vec![1, 2]))];
    assert!(write::write_columns(&path, &uneven).is_err());
}

#[test]
fn rows_are_numbered_across_batches() {
    let n_rows = crate::read::BATCH_ROWS + 5;
    let ids: Vec<_> = (0..n_rows).map(|row| format!("r{}", row / 2)).collect();
    let models: Vec<_> = (0..n_rows).map(|row| ["a", "b"][row % 2]).collect();
    let mut qualities = vec![0.5; n_rows];
    let table = |qualities: &[f64]| df!("request_id" => &ids, "prompt" => &ids, "model" => &models, "quality" => qualities);
    let Dataset::Table(whole) = opened(&table(&qualities).unwrap()) else {
        panic!("no propensities")
    };
    assert_eq!(whole.requests.len(), n_rows.div_ceil(2));
    assert_eq!(whole.requests[32_769].request_id, "r32769");
    qualities[n_rows - 1] = -1.0;
    let error = message(&table(&qualities).unwrap());
    assert!(error.contains("row 65540: quality must be in [0, 1], got -1"), "{error}");
}

#[test]
fn categories_and_times_of_any_unit_are_read() {
    let mut frame = with("request_id", ["r1", "r2", "r3", "r4"]);
    let categories = DataType::from_categories(Categories::global());
    let models = frame.column("model").unwrap().cast(&categories).unwrap();
    frame.with_column(models).unwrap();
    let half = Series::new("propensity".into(), [0.5, 0.5, 0.5, 1.0]);
    frame.with_column(half.into_column()).unwrap();
    for (unit, per_second) in
        [(TimeUnit::Milliseconds, 1_000), (TimeUnit::Nanoseconds, 1_000_000_000)]
    {
        let times = Series::new("timestamp".into(), [per_second, 0, 1, -per_second]);
        let times = times.cast(&DataType::Datetime(unit, None)).unwrap();
        frame.with_column(times.into_column()).unwrap();
        let Dataset::Log(log) = opened(&frame) else { panic!("propensities are known") };
        assert_eq!(log[0].timestamp_us, Some(1_000_000));
        assert_eq!(log[3].timestamp_us, Some(-1_000_000));
        assert_eq!(log[3].model.as_str(), "large");
    }
}

#[test]
fn nothing_is_left_of_a_file_that_cannot_be_written() {
    let (folder, path) = place("logs.parquet");
    let error = write::write_log(&[], &path).unwrap_err().to_string();
    assert!(error.contains("logs.parquet is to hold has 0 rows"), "{error}");
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(32))]
    #[test]
    fn any_outcome_comes_back_to_the_bit(
        quality in proptest::option::of(0.0..=1.0_f64),
        nanos in proptest::option::of(0..1_000_000_000_000_i64),
        tokens in proptest::option::of(0..1_u64 << 53),
        latency_ms in proptest::option::of(0.0..1e9_f64),
    ) {
        let mut table = table();
        table.outcomes[3] = Some(router_core::Outcome {
            quality: quality.map(|quality| quality.try_into().unwrap()),
            cost: nanos.map(router_core::Usd::from_nanos),
            prompt_tokens: tokens.map(Tokens),
            latency_ms,
            ..Default::default()
        });
        let (_folder, path) = place("logs.parquet");
        write::write_table(&table, &path).unwrap();
        proptest::prop_assert_eq!(open(&[path]).unwrap().data, Dataset::Table(table));
    }
}
