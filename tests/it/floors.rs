//! The floors that the defaults must reach on the shared benchmarks that are quick to fit.
//!
//! They are the column *floor* of `routing-baselines.md`, section 1, on the subsets of models that
//! it names. Only point estimates count there, so that two bootstrap draws do.

use std::path::{Path, PathBuf};

use evaluator::{Options, benchmark};
use serde_json::Value;
use trainer::config::{Config, Overrides};
use trainer::run;

/// What a figure of the router, by its path in `report.json`, must be.
enum Floor {
    AtLeast(&'static str, f64),
    AtMost(&'static str, f64),
}

use Floor::{AtLeast, AtMost};

/// A benchmark.
struct Set {
    /// Folder of what is judged.
    name: &'static str,
    /// Folder of what the router is fitted on, if that is another one.
    fitted_on: Option<&'static str>,
    models: Option<&'static str>,
    n_requests: usize,
    n_models: usize,
    floors: &'static [Floor],
}

const GSM8K: Set = Set {
    name: "routellm_gsm8k",
    fitted_on: None,
    models: None,
    n_requests: 1_319,
    n_models: 2,
    floors: &[
        AtLeast("metrics/apgr/value", 0.62),
        AtMost("metrics/cpt50/value", 0.34),
        AtMost("metrics/cpt80/value", 0.63),
    ],
};

const PARETOBANDIT: Set = Set {
    name: "paretobandit_test",
    fitted_on: Some("paretobandit_val"),
    models: None,
    n_requests: 1_793,
    n_models: 4,
    floors: &[
        AtLeast("metrics/aiq/value", 0.928),
        AtMost("metrics/cost_ratio_at_retention/0.95/value", 0.019),
        AtMost("metrics/cost_ratio_at_retention/0.99/value", 0.034),
        AtLeast("metrics/hypervolume/value", 0.882),
    ],
};

const ZEROEVAL: Set = Set {
    name: "zeroeval",
    fitted_on: None,
    models: Some("priced,complete,!o1-*"),
    n_requests: 2_840,
    n_models: 27,
    floors: &[
        AtLeast("metrics/aiq/value", 0.810),
        AtMost("metrics/cost_ratio_at_retention/0.95/value", 0.25),
        AtMost("metrics/cost_ratio_at_retention/0.99/value", 0.70),
        AtLeast("metrics/hypervolume/value", 0.757),
        AtLeast("validated/retention=0.95/retention/value", 0.95),
        AtMost("validated/retention=0.95/cost_ratio/value", 0.32),
        AtLeast("validated/retention=0.99/retention/value", 0.99),
        AtMost("validated/retention=0.99/cost_ratio/value", 0.77),
    ],
};

const BFCL: Set = Set {
    name: "bfcl",
    fitted_on: None,
    models: Some("priced,complete"),
    n_requests: 1_700,
    n_models: 46,
    floors: &[
        AtLeast("metrics/aiq/value", 0.889),
        AtMost("metrics/cost_ratio_at_retention/0.99/value", 0.73),
        AtLeast("metrics/hypervolume/value", 0.878),
        AtLeast("difference_to/best_single/quality_at_lambda0/value", -0.005),
    ],
};

/// Fits the defaults on text alone, and judges every request by a router that did not see it.
fn report(shared: &Path, set: &Set) -> Value {
    let logs = |name: &str| shared.join("data").join(name).join("logs.parquet");
    let models = set.models.map(str::to_owned);
    let cross_fit = set.fitted_on.is_none().then(|| "fold".to_owned());
    let overrides = Overrides { cross_fit, models: models.clone(), ..Overrides::default() };
    let config = Config::resolve([overrides]).unwrap();
    let opened = datasets::open(&[logs(set.fitted_on.unwrap_or(set.name))]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let fitted = run::fit(opened, &config, &|_, _| {}).unwrap();
    run::write(folder.path(), &fitted, &config).unwrap();
    let options = Options {
        routers: vec![folder.path().to_owned()],
        fit_data: set.fitted_on.map(logs).into_iter().collect(),
        models: models.map(|models| models.parse().unwrap()),
        replicates: 2,
        ..Options::default()
    };
    let report = benchmark(&datasets::open(&[logs(set.name)]).unwrap(), &options).unwrap();
    serde_json::from_str(&evaluator::report::json::to_json(&report)).unwrap()
}

#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn assert_floors(set: &Set) {
    let Some(shared) = std::env::var_os("SEXTANT_SHARED").map(PathBuf::from) else {
        eprintln!("skipped: SEXTANT_SHARED is not set");
        return;
    };
    let report = report(&shared, set);
    assert_eq!(report["n_requests"], set.n_requests);
    assert_eq!(report["models"].as_array().unwrap().len(), set.n_models);
    let figure = |path: &str| {
        let figure = report.pointer(&format!("/routers/0/{path}")).and_then(Value::as_f64);
        figure.ok_or_else(|| format!("{}: there is no {path}", set.name)).unwrap()
    };
    for floor in set.floors {
        let (path, is_met, bound) = match floor {
            AtLeast(path, bound) => (path, figure(path) >= *bound, bound),
            AtMost(path, bound) => (path, figure(path) <= *bound, bound),
        };
        assert!(is_met, "{}: {path} is {}, the floor {bound}", set.name, figure(path));
    }
}

#[test]
fn gsm8k_is_at_or_above_its_floors() {
    assert_floors(&GSM8K);
}

#[test]
fn paretobandit_is_at_or_above_its_floors() {
    assert_floors(&PARETOBANDIT);
}

#[test]
fn zeroeval_is_at_or_above_its_floors() {
    assert_floors(&ZEROEVAL);
}

#[test]
fn bfcl_is_at_or_above_its_floors() {
    assert_floors(&BFCL);
}
