use router_core::{OutcomeTable, Tokens};

use super::*;
use crate::testing::place;

fn imported(format: Format, name: &str, text: &str, maps: &[&str]) -> Result<Dataset, String> {
    let (_folder, path) = place(name);
    std::fs::write(&path, text).unwrap();
    let maps: Vec<_> = maps.iter().map(|map| (*map).to_owned()).collect();
    import(format, std::slice::from_ref(&path), &maps)
        .map_err(|error| error.to_string().replace(&path.display().to_string(), "FILE"))
}

fn table(format: Format, name: &str, text: &str, maps: &[&str]) -> OutcomeTable {
    match imported(format, name, text, maps).unwrap() {
        Dataset::Table(table) => table,
        Dataset::Log(_) => panic!("a table was given"),
    }
}

fn qualities(table: &OutcomeTable) -> Vec<Option<f64>> {
    (0..table.outcomes.len())
        .map(|i| table.quality(i / table.models.len(), i % table.models.len()))
        .collect()
}

#[test]
fn routellm_responses_are_imported() {
    let text =
        "prompt,weak,strong\n\"Is \"\"up\"\" down?\nAnswer:\",False,True\nIs 1 odd?,True,True\n";
    let table = table(Format::RouteLlm, "mmlu_made_up.csv", text, &[]);
    assert_eq!(table.models, ["strong", "weak"].map(crate::testing::id));
    assert_eq!(qualities(&table), [1.0, 0.0, 1.0, 1.0].map(Some));
    assert_eq!(table.requests[0].prompt, "Is \"up\" down?\nAnswer:");
    assert_eq!(table.requests[0].task.as_deref(), Some("mmlu"));
    assert_eq!(table.requests[0].domain.as_deref(), Some("made_up"));
    let error = imported(Format::RouteLlm, "a.csv", "prompt,m\nx,maybe\n", &[]).unwrap_err();
    assert_eq!(error, "FILE: row 0: m must be a number, got \"maybe\" (rows count from 0)");
}

#[test]
fn answers_and_row_numbers_of_routellm_are_not_models() {
    let text = ",prompt,x/a,b,x/a_response,b_response\n0,Why?,True,False,Because.,No.\n";
    let table = table(Format::RouteLlm, "gsm8k_responses.csv", text, &[]);
    assert_eq!(table.models, ["b", "x/a"].map(crate::testing::id));
    assert_eq!(table.requests[0].task.as_deref(), Some("gsm8k"));
    assert_eq!(table.requests[0].domain, None);
}

const WIDE: &str = "sample_id,prompt,eval_name,a,a|model_response,a|total_cost,b,b|model_response,\
                    b|total_cost,oracle_model_to_route_to\n\
                    s1,What?,made-up,1.0,text,0.001,0.5,text,0.0002,b\n\
                    s2,Why?,made-up,0.0,text,0.002,,,,a\n";

#[test]
fn a_wide_routerbench_table_is_imported() {
    let table = table(Format::RouterBench, "wide.csv", WIDE, &[]);
    assert_eq!(qualities(&table), [Some(1.0), Some(0.5), Some(0.0), None]);
    assert_eq!(table.cost(0, 1).unwrap().nanos(), 200_000);
    assert!(table.outcome(1, 1).is_none());
    assert_eq!(table.requests[1].request_id, "s2");
    assert_eq!(table.requests[1].task.as_deref(), Some("made-up"));
    let wrong = WIDE.replace("1.0,text", "1.5,text");
    let error = imported(Format::RouterBench, "wide.csv", &wrong, &[]).unwrap_err();
    assert_eq!(error, "FILE: row 0: quality must be in [0, 1], got 1.5 (rows count from 0)");
}

#[test]
fn a_wide_routerbench_parquet_is_imported() {
    use polars::prelude::*;
    let (_folder, path) = place("wide.parquet");
    let frame = df!(
        "sample_id" => ["s1"], "prompt" => ["What?"], "eval_name" => ["made-up"],
        "a" => [1.0], "a|total_cost" => [0.5], "b" => [0_i64], "b|total_cost" => [None::<f64>],
    );
    crate::testing::save(&frame.unwrap(), &path);
    let Dataset::Table(table) = import(Format::RouterBench, &[path], &[]).unwrap() else {
        panic!("a table was given")
    };
    assert_eq!(qualities(&table), [Some(1.0), Some(0.0)]);
    assert_eq!(table.cost(0, 1), None);
}

#[test]
fn paretobandit_lines_are_imported() {
    let text = r#"{"prompt":"Say hi","difficulty":"trivial","source":"made-up","arms":{"x/a":{"reward":0.9,"cost":0.1,"near_best":true},"x/b":{"reward":1,"cost":0.25}}}"#;
    let table = table(Format::ParetoBandit, "val.jsonl", text, &[]);
    assert_eq!(qualities(&table), [Some(0.9), Some(1.0)]);
    assert_eq!(table.requests[0].task.as_deref(), Some("made-up"));
    assert_eq!(table.requests[0].difficulty, None);
    let error = imported(Format::ParetoBandit, "a.jsonl", r#"{"prompt":"x"}"#, &[]).unwrap_err();
    assert!(error.contains("row 0: arms must be an object of models"), "{error}");
}

#[test]
fn llmrouterbench_results_are_imported_without_a_mapping() {
    let (folder, _) = place("x");
    let mut paths = Vec::new();
    for (model, score) in [("m1", 1), ("m2", 0)] {
        let text = format!(
            r#"{{"performance":0.5,"cost":9.0,"prompt_tokens":99,"model_name":"{model}",
            "dataset_name":"made-up","split":"test","records":[{{"index":7,"origin_query":"q",
            "prompt":"p","prompt_tokens":3,"completion_tokens":5,"cost":0.125,"score":{score}}}]}}"#
        );
        paths.push(folder.path().join(format!("{model}.json")));
        std::fs::write(paths.last().unwrap(), text).unwrap();
    }
    let Dataset::Table(table) = import(Format::Long, &paths, &[]).unwrap() else {
        panic!("a table was given")
    };
    assert_eq!(qualities(&table), [Some(1.0), Some(0.0)]);
    assert_eq!(table.requests[0].request_id, "made-up/test/7");
    assert_eq!(table.cost(0, 0).unwrap().nanos(), 125_000_000);
    assert_eq!(table.outcome(0, 1).unwrap().completion_tokens, Some(Tokens(5)));
}

#[test]
fn a_long_table_is_imported_under_its_own_names() {
    let text = "q,llm,acc,usd,n\nhi,a,0.5,0.01,12\nhi,b,1,,\n";
    let maps = ["prompt=q", "model=llm", "quality=acc", "cost_usd=usd", "prompt_tokens=n"];
    let table = table(Format::Long, "long.csv", text, &maps);
    assert_eq!(qualities(&table), [Some(0.5), Some(1.0)]);
    assert_eq!(table.cost(0, 1), None);
    assert_eq!(table.outcome(0, 0).unwrap().prompt_tokens, Some(Tokens(12)));
    let error = imported(Format::Long, "long.csv", text, &["prompt=q"]).unwrap_err();
    let reason = "model (`model_name` in the file) must be known, got null";
    assert_eq!(error, format!("FILE: row 0: {reason} (rows count from 0)"));
    let error = imported(Format::Long, "long.csv", text, &["promt=q"]).unwrap_err();
    assert!(error.contains("got promt=q; columns are request_id, prompt"), "{error}");
}

#[test]
fn a_long_table_with_propensities_is_a_log() {
    let text = "request_id,prompt,model,score,propensity\n1,hi,a,1,0.5\n2,ho,b,0,0.25\n";
    let Dataset::Log(log) = imported(Format::Long, "l.csv", text, &[]).unwrap() else {
        panic!("propensities were given")
    };
    assert_eq!(log[1].propensity.get().to_bits(), 0.25_f64.to_bits());
}

#[test]
fn an_unknown_extension_is_refused() {
    let error = imported(Format::Long, "a.pkl", "", &[]).unwrap_err();
    let reason = "its extension must be csv, json, jsonl or parquet, got \"pkl\"";
    assert_eq!(error, format!("cannot read FILE: {reason}"));
}
