//! The sets of the shared folder are read as its table says. Skipped without `SEXTANT_SHARED`.

use std::path::PathBuf;

use datasets::{Dataset, check::check, open};

/// Set, rows, prompts, models.
const SETS: &[(&str, usize, usize, usize)] = &[
    ("routellm_mmlu", 28_084, 14_042, 2),
    ("routellm_gsm8k", 2_638, 1_319, 2),
    ("routellm_mt_bench", 160, 80, 2),
    ("routerbench_subset", 34_650, 3_150, 11),
    ("zeroeval", 128_890, 2_840, 60),
    ("mmlu_pro", 347_215, 12_032, 29),
    ("bfcl", 120_700, 1_700, 71),
    ("livecodebench", 54_441, 1_593, 76),
    ("debugbench", 11_976, 5_988, 2),
    ("ulab_llmrouter", 54_972, 6_108, 9),
    ("routerdc_7b", 144_200, 20_600, 7),
    ("paretobandit_val", 7_064, 1_766, 4),
    ("paretobandit_test", 7_172, 1_793, 4),
];

#[test]
fn every_shared_set_is_an_outcome_table_of_the_stated_size() {
    let Some(shared) = std::env::var_os("SEXTANT_SHARED") else {
        eprintln!("skipped: SEXTANT_SHARED is not set");
        return;
    };
    for (name, n_rows, n_requests, n_models) in SETS {
        let path = PathBuf::from(&shared).join("data").join(name).join("logs.parquet");
        let report = check(std::slice::from_ref(&path));
        assert!(report.is_good(), "{name}: {report}");
        let counts = (report.n_rows, report.n_requests, report.n_models);
        assert_eq!(counts, (*n_rows, *n_requests, *n_models), "{name}");
        let Dataset::Table(table) = open(&[path]).unwrap().data else { unreachable!("{name}") };
        assert_eq!(table.requests.len(), *n_requests, "{name}");
        assert_eq!(table.outcomes.iter().flatten().count(), *n_rows, "{name}");
        let fold = |request| datasets::fold_of(request, datasets::Folds::Hash(5));
        for request in &table.requests {
            assert_eq!(request.fold, fold(request), "{name}");
        }
    }
}
