use router_core::{Outcome, RequestRow, Usd};

use super::*;
use crate::testing::decision;

/// Three models; `b-1` has no cost in request 1, `c` did not answer request 0.
fn table() -> OutcomeTable {
    let priced = Some(Outcome { cost: Some(Usd::from_nanos(1)), ..Outcome::default() });
    let free = Some(Outcome::default());
    OutcomeTable {
        models: ["a-1", "b-1", "c"].map(|id| ModelId::new(id).unwrap()).to_vec(),
        requests: vec![RequestRow::default(), RequestRow::default()],
        outcomes: vec![priced, priced, None, priced, free, priced],
    }
}

fn select(text: &str) -> Result<(Vec<String>, usize), SelectError> {
    let table = text.parse::<ModelSelection>()?.select(&table())?;
    assert_eq!(table.outcomes.len(), table.models.len() * table.requests.len());
    Ok((table.models.into_iter().map(String::from).collect(), table.requests.len()))
}

fn kept(names: &[&str], n_requests: usize) -> (Vec<String>, usize) {
    (names.iter().map(|name| (*name).to_owned()).collect(), n_requests)
}

#[test]
fn names_globs_exclusions_and_keywords_select() {
    assert_eq!(select("*-1").unwrap(), kept(&["a-1", "b-1"], 2));
    assert_eq!(select("c,a-1").unwrap(), kept(&["a-1", "c"], 2));
    assert_eq!(select("!b*").unwrap(), kept(&["a-1", "c"], 2));
    assert_eq!(select("priced").unwrap(), kept(&["a-1", "c"], 2));
    assert_eq!(select("complete").unwrap(), kept(&["a-1", "b-1"], 2));
    assert_eq!(select("common").unwrap(), kept(&["a-1", "b-1", "c"], 1));
    assert_eq!(select("priced, complete").unwrap(), kept(&["a-1"], 2));
    assert_eq!(select("c").unwrap(), kept(&["c"], 1));
}

#[test]
fn requests_are_selected_by_their_labels() {
    let mut table = table();
    for (request, (task, domain)) in
        table.requests.iter_mut().zip([("code-1", Some("law")), ("mail", None)])
    {
        request.task = Some(task.to_owned());
        request.domain = domain.map(str::to_owned);
    }
    let kept = |text: &str| -> (Vec<String>, Vec<String>) {
        let kept = text.parse::<ModelSelection>().unwrap().select(&table).unwrap();
        let tasks = kept.requests.into_iter().filter_map(|request| request.task);
        (kept.models.into_iter().map(String::from).collect(), tasks.collect())
    };
    assert_eq!(kept("task=code*").1, ["code-1"]);
    assert_eq!(kept("!task=code*").1, ["mail"]);
    assert_eq!(kept("domain=law").1, ["code-1"]);
    assert_eq!(kept("!domain=law").1, ["mail"]);
    assert_eq!(kept("task=mail,task=code-1,!domain=law").1, ["mail"]);
    // `c` did not answer the first request, `b-1` has no cost in the second.
    assert_eq!(kept("task=code-1,complete").0, ["a-1", "b-1"]);
    assert_eq!(kept("task=code-1,priced").0, ["a-1", "b-1", "c"]);
    let refused = |text: &str| {
        text.parse::<ModelSelection>().unwrap().select(&table).unwrap_err().to_string()
    };
    assert_eq!(refused("task=mail,task=gone"), "--models: task=gone fits the label of no request");
    assert!(refused("task=mail,!task=mail").ends_with("0 requests, at least 1 of each is needed"));
}

#[test]
fn a_name_that_fits_nothing_is_refused() {
    let error = select("gpt-*").unwrap_err().to_string();
    assert_eq!(error, "--models: gpt-* is none of the 3 models (a-1, b-1, c)");
    let error = select("a-1,,c").unwrap_err().to_string();
    assert_eq!(error, "a part of --models must not be empty, got \"a-1,,c\"");
    let error = select("c,complete").unwrap_err().to_string();
    assert!(error.starts_with("--models keeps 0 models and 0 requests"), "{error}");
}

#[test]
fn a_log_is_selected_by_the_models_that_were_drawn() {
    let unpriced = |mut row: LoggedDecision| {
        row.outcome.cost = None;
        row
    };
    let log = || {
        let failed = unpriced(decision("r3", "small", 0.5));
        let outcome = Outcome { status: Status::Timeout, ..failed.outcome };
        let failed = LoggedDecision { outcome, ..failed };
        vec![decision("r1", "small", 0.5), unpriced(decision("r2", "large", 0.5)), failed]
    };
    let select = |text: &str| -> Result<Vec<String>, SelectError> {
        let log = text.parse::<ModelSelection>().unwrap().select_log(log())?;
        Ok(log.into_iter().map(|row| row.request.request_id).collect())
    };
    assert_eq!(select("*").unwrap(), ["r1", "r2", "r3"]);
    assert_eq!(select("!small").unwrap(), ["r2"]);
    assert_eq!(select("priced").unwrap(), ["r1", "r3"]);
    let refused = |text: &str| select(text).unwrap_err().to_string();
    assert_eq!(refused("gpt-*"), "--models: gpt-* is none of the 2 models (large, small)");
    assert!(refused("complete").contains("need an outcome table, got a log"));
    assert!(refused("priced,!small").starts_with("--models keeps 0 models"));
}

#[test]
fn a_propensity_is_that_among_the_kept_models() {
    let three = ["large", "small", "tiny"].map(|name| ModelId::new(name).unwrap());
    let drawn = |id: &str, model: &str, pmf: [f64; 3]| {
        let at = three.iter().position(|name| name.as_str() == model).unwrap();
        LoggedDecision {
            pmf: three.iter().cloned().zip(pmf).collect(),
            ..decision(id, model, pmf[at])
        }
    };
    let log = || {
        vec![
            drawn("r1", "small", [0.5, 0.3, 0.2]),
            drawn("r2", "large", [0.5, 0.3, 0.2]),
            drawn("r3", "tiny", [0.5, 0.3, 0.2]),
        ]
    };
    let kept = "!tiny".parse::<ModelSelection>().unwrap().select_log(log()).unwrap();
    for (row, propensity) in kept.iter().zip([0.375, 0.625]) {
        assert!((row.propensity.get() - propensity).abs() < 1e-12, "{row:?}");
        assert_eq!(row.pmf.len(), 2);
        assert!((row.pmf.iter().map(|(_, p)| p).sum::<f64>() - 1.0).abs() < 1e-12);
    }
    let all = ModelSelection::default().select_log(log()).unwrap();
    assert_eq!(all, log());
    let mut unknown = log();
    unknown[1].pmf.clear();
    let error = "!tiny".parse::<ModelSelection>().unwrap().select_log(unknown).unwrap_err();
    assert!(error.to_string().ends_with("request r2 has none"), "{error}");
}

#[test]
fn one_model_only_is_refused_for_learning() {
    let one = "c".parse::<ModelSelection>().unwrap().select(&table()).unwrap();
    let error = require_two_models(&one).unwrap_err().to_string();
    assert_eq!(error, "at least 2 models are needed to learn a choice, got 1 (c)");
    assert!(require_two_models(&table()).is_ok());
}

#[test]
fn a_star_stands_for_any_characters() {
    assert!(matches("*", "abc") && matches("a*c", "abc") && matches("a*", "a"));
    assert!(matches("a*b*a", "abxba") && !matches("a*a", "a") && !matches("b", "ab"));
}
