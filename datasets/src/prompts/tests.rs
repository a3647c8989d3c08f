use std::path::Path;

use polars::prelude::*;

use super::*;
use crate::split::{hash_of, hash_text};
use crate::testing::{place, save};

fn prompt(source: &str, label: &str, text: &str) -> Prompt {
    Prompt {
        source: source.to_owned(),
        field: "label".to_owned(),
        text: text.to_owned(),
        label: label.to_owned(),
        group: hash_text(&folded(text)),
        fold: None,
    }
}

fn read_one(path: &Path) -> Result<Prompts, DatasetError> {
    read(&[path.to_owned()])
}

#[test]
fn a_plain_table_is_read_as_parquet_and_as_csv() {
    let (folder, parquet) = place("mine.parquet");
    let frame = df!(
        "text" => [Some("Fix it"), Some("Say hi"), None, Some("no label")],
        "label" => [Some("repair"), Some("chat"), Some("chat"), None],
        "fold" => [Some(3i64), None, Some(1), Some(1)],
    );
    save(&frame.unwrap(), &parquet);
    let csv = folder.path().join("mine.csv");
    std::fs::write(&csv, "label,text,fold\nrepair,Fix it,3\nchat,Say hi,\nchat,,1\n,no label,1\n")
        .unwrap();
    for (path, n_rows) in [(parquet, 4), (csv, 4)] {
        let prompts = read_one(&path).unwrap();
        let fixed = Prompt { fold: Some(3), ..prompt("mine", "repair", "Fix it") };
        assert_eq!(prompts.rows, [fixed, prompt("mine", "chat", "Say hi")]);
        assert_eq!(prompts.sources[0].n_rows, n_rows);
    }
}

#[test]
fn a_log_names_its_source_by_its_folder_and_counts_each_request_once() {
    let (folder, _) = place("x");
    let path = folder.path().join("calls").join("logs.parquet");
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    let mut frame = crate::testing::with("task", ["call", "call", "call", "call"]);
    frame.with_column(Series::new("group".into(), ["g", "g", "h", "h"]).into_column()).unwrap();
    save(&frame, &path);
    let rows = read_one(&path).unwrap().rows;
    let row = |text: &str, group: &str| Prompt {
        field: "task".to_owned(),
        group: group.to_owned(),
        ..prompt("calls", "call", text)
    };
    assert_eq!(rows, [row("one", "g"), row("two", "h")]);
}

#[test]
fn what_is_missing_or_no_number_is_named() {
    let (folder, path) = place("mine.csv");
    for (text, expected) in [
        ("text\nFix it\n", "has no column `label`"),
        ("question,label\nFix it,x\n", "has no column `text`"),
        ("text,label,fold\nFix it,x,one\n", "row 0: fold must be a whole number, got one"),
        ("text,label\n", "has 0 rows"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = read_one(&path).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    drop(folder);
}

#[test]
fn a_taxonomy_maps_a_label_before_the_rest_of_its_source() {
    let (_folder, path) = place("taxonomy.csv");
    let header = "source,field,label,canonical,fine,use,note\n";
    let lines = "a,label,x,math,,train,\na,label,*,chat,,eval,\na,label,y,,,no,bad\nb,task,*,call,,train,\n";
    std::fs::write(&path, format!("{header}{lines}")).unwrap();
    let taxonomy = Taxonomy::read(&path).unwrap();
    assert_eq!(taxonomy.of(&prompt("a", "x", "")), Some(("math", Use::Train)));
    assert_eq!(taxonomy.of(&prompt("a", "z", "")), Some(("chat", Use::Eval)));
    assert_eq!(taxonomy.of(&prompt("a", "y", "")), None);
    assert_eq!(taxonomy.of(&prompt("b", "x", "")), None);
    std::fs::write(&path, format!("{header}{lines}a,label,x,chat,,train,\n")).unwrap();
    let error = Taxonomy::read(&path).unwrap_err().to_string();
    assert!(error.contains("label must be named once, got a/label/x"), "{error}");
}

#[test]
fn each_text_is_taken_once_and_caps_hold_by_source() {
    let mut prompts: Vec<Prompt> =
        (0..30).map(|i| prompt(["a", "b", "c"][i % 3], "x", &format!("text {i}"))).collect();
    prompts.push(prompt("a", "y", "TEXT\n 3"));
    let caps = Caps::parse(&["4", "b=2"]).unwrap();
    let taken = select(prompts.clone(), &caps);
    let count =
        |source: &str| taken.iter().filter(|p| p.source == source && p.label == "x").count();
    assert_eq!((count("a"), count("b"), count("c")), (4, 2, 4));
    let texts: std::collections::BTreeSet<String> = taken.iter().map(|p| folded(&p.text)).collect();
    assert_eq!(texts.len(), taken.len());
    // The order of the files decides nothing.
    prompts.reverse();
    assert_eq!(select(prompts, &caps), taken);
    for bad in ["0", "a=", "x"] {
        assert!(Caps::parse(&[bad]).is_err(), "{bad}");
    }
}

#[test]
fn the_same_problem_in_another_language_or_source_is_in_the_same_group() {
    let of = |source: &str, label: &str, group: &str, text: &str| Prompt {
        group: group.to_owned(),
        ..prompt(source, label, text)
    };
    let taken = select(
        vec![
            of("humanevalpack", "fix", "Python/7", "def add(a, b):\n    return a - b"),
            of("humanevalpack", "fix", "Go/7", "func Add(a int, b int)"),
            of("bench", "human_eval", "own", "\ndef add(a, b):\n    \"\"\"Adds.\"\"\""),
            of("bench", "human_eval", "other", "def unknown(a)"),
        ],
        &Caps::default(),
    );
    let shared = hash_text("HumanEval/7");
    let n_shared = taken.iter().filter(|p| p.group == shared).count();
    assert_eq!((n_shared, taken.iter().filter(|p| p.group == "other").count()), (3, 1));
}

/// The recipe of `data/README.md`, to the row.
#[test]
fn the_recipe_takes_the_stated_rows() {
    let Some(shared) = std::env::var_os("SEXTANT_SHARED").map(PathBuf::from) else {
        println!("skipped: SEXTANT_SHARED does not name the shared data");
        return;
    };
    let data = shared.join("data");
    let prompts =
        read(&[data.join("task_type/prompts.parquet"), data.join("bfcl/logs.parquet")]).unwrap();
    let taxonomy = Taxonomy::read(&data.join("task_type/taxonomy.csv")).unwrap();
    let known: Vec<Prompt> =
        prompts.rows.into_iter().filter(|prompt| taxonomy.of(prompt).is_some()).collect();
    let taken = select(known, &Caps::parse(&["400", "clinc150=15"]).unwrap());
    let train: Vec<&Prompt> = taken
        .iter()
        .filter(|prompt| taxonomy.of(prompt).is_some_and(|(_, usage)| usage == Use::Train))
        .collect();
    assert_eq!((taken.len(), train.len()), (13_271, 12_941));
    let natural = ["autoj_scenario", "stack_eval"];
    let held: Vec<&&Prompt> = train.iter().filter(|p| hash_of(&p.group) % 5 == 4).collect();
    let n_natural = held.iter().filter(|p| natural.contains(&p.source.as_str())).count();
    // The stated split has 2,562; one prompt's problem is told apart in another way.
    assert_eq!((held.len(), n_natural), (2_563, 714));
}
