//! Features of tool definitions: how many, what they take, and how well they match the text.
//!
//! Definitions are read as JSON in the shapes that clients send: `{"name", "description",
//! "parameters"}`, the same under `"function"`, or with `"input_schema"`. What is not JSON, or has
//! another shape, counts as no tool.

use serde_json::Value;

use crate::request::RequestView;

/// Number of tool features.
pub const N_TOOL: usize = 16;

/// Their names, in order.
pub const TOOL_NAMES: [&str; N_TOOL] = [
    "tool_name_match",
    "tool_name_match_mean",
    "tool_description_match",
    "tool_text_match",
    "tool_parameters",
    "tool_required",
    "tool_parameters_all",
    "tool_strings",
    "tool_numbers",
    "tool_lists",
    "tool_objects",
    "tool_booleans",
    "tool_other_types",
    "tool_defaults",
    "tool_values_per_required",
    "tool_clauses_per_required",
];

/// Letters by which two words count as the same.
const STEM: usize = 5;

/// Words that say nothing of what a tool does.
const COMMON: [&str; 40] = [
    "about",
    "and",
    "are",
    "based",
    "been",
    "calculate",
    "can",
    "could",
    "find",
    "for",
    "from",
    "function",
    "get",
    "given",
    "has",
    "have",
    "how",
    "its",
    "need",
    "please",
    "returns",
    "should",
    "specific",
    "specified",
    "that",
    "the",
    "this",
    "using",
    "value",
    "want",
    "was",
    "what",
    "when",
    "where",
    "which",
    "will",
    "with",
    "would",
    "you",
    "your",
];

/// What the definitions ask for.
#[derive(Default)]
struct Counts {
    strings: u32,
    numbers: u32,
    lists: u32,
    objects: u32,
    booleans: u32,
    others: u32,
    defaults: u32,
}

/// One definition, as sorted stems and sizes.
struct Tool {
    name: Vec<u64>,
    description: Vec<u64>,
    all: Vec<u64>,
    n_parameters: usize,
    n_required: usize,
}

/// The features of a request's tools; all 0 without any.
///
/// Shares are in `[0, 1]`; counts are `ln(1 + n)`.
pub fn features(view: &RequestView<'_>) -> [f32; N_TOOL] {
    let mut counts = Counts::default();
    let parsed: Option<Value> = serde_json::from_str(view.tool_schemas).ok();
    let tools: Vec<Tool> = match &parsed {
        Some(Value::Array(tools)) => tools.iter().filter_map(|t| tool(t, &mut counts)).collect(),
        Some(one) => tool(one, &mut counts).into_iter().collect(),
        None => Vec::new(),
    };
    if tools.is_empty() {
        return [0.0; N_TOOL];
    }
    let text = stems([view.text]);
    let most = |of: &dyn Fn(&Tool) -> f32| tools.iter().map(of).fold(0.0, f32::max);
    let name_match = |tool: &Tool| share(&tool.name, &text);
    let required = most(&|tool| tool.n_required as f32);
    let values = values(view.text);
    let clauses = clauses(view.text);
    let log = |n: u32| (n as f32).ln_1p();
    [
        most(&name_match),
        tools.iter().map(name_match).sum::<f32>() / tools.len() as f32,
        most(&|tool| share(&tool.description, &text)),
        most(&|tool| share(&text, &tool.all)),
        most(&|tool| tool.n_parameters as f32).ln_1p(),
        required.ln_1p(),
        (tools.iter().map(|tool| tool.n_parameters).sum::<usize>() as f32).ln_1p(),
        log(counts.strings),
        log(counts.numbers),
        log(counts.lists),
        log(counts.objects),
        log(counts.booleans),
        log(counts.others),
        log(counts.defaults),
        (values as f32 / required.max(1.0)).ln_1p(),
        (clauses as f32 / required.max(1.0)).ln_1p(),
    ]
}

fn tool(value: &Value, counts: &mut Counts) -> Option<Tool> {
    let function = value.get("function").unwrap_or(value);
    let text = |key: &str| function.get(key).and_then(Value::as_str);
    let (name, description) = (text("name")?, text("description").unwrap_or_default());
    let schema = function.get("parameters").or_else(|| function.get("input_schema"));
    let properties = schema.and_then(|s| s.get("properties")).and_then(Value::as_object);
    let required = schema.and_then(|s| s.get("required")).and_then(Value::as_array);
    let mut all = vec![name, description];
    for (key, property) in properties.into_iter().flatten() {
        all.push(key);
        all.extend(property.get("description").and_then(Value::as_str));
        counts.defaults += u32::from(property.get("default").is_some());
        let kind = property.get("type").and_then(Value::as_str).unwrap_or_default();
        *match kind {
            "string" => &mut counts.strings,
            "integer" | "number" | "float" | "double" => &mut counts.numbers,
            "array" => &mut counts.lists,
            "object" | "dict" => &mut counts.objects,
            "boolean" => &mut counts.booleans,
            _ => &mut counts.others,
        } += 1;
    }
    Some(Tool {
        name: stems([name]),
        description: stems([description]),
        all: stems(all),
        n_parameters: properties.map_or(0, serde_json::Map::len),
        n_required: required.map_or(0, Vec::len),
    })
}

/// Share of the stems of `of` that `others` has too; 0 of nothing.
fn share(of: &[u64], others: &[u64]) -> f32 {
    let common = of.iter().filter(|stem| others.binary_search(stem).is_ok()).count();
    common as f32 / of.len().max(1) as f32
}

/// Numbers and quoted strings of a text.
fn values(text: &str) -> usize {
    let is_number = |run: &[u8]| run[0].is_ascii_digit();
    let numbers = text
        .as_bytes()
        .chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit())
        .filter(|run| is_number(run))
        .count();
    numbers + text.bytes().filter(|byte| matches!(byte, b'"' | b'\'' | b'`')).count() / 2
}

/// Parts of a text that commas, semicolons, sentence ends and "and" divide.
fn clauses(text: &str) -> usize {
    let marks = text.bytes().filter(|byte| matches!(byte, b',' | b';' | b'.' | b'?' | b'!'));
    marks.count() + text.split_whitespace().filter(|word| word.eq_ignore_ascii_case("and")).count()
}

/// The sorted, distinct stems of the words of some texts. `getWeather` and `get_weather` are two
/// words each.
fn stems<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<u64> {
    let mut stems = Vec::new();
    let mut word = String::new();
    for text in texts {
        let mut was_lower = false;
        for character in text.chars() {
            if !character.is_alphanumeric() || (was_lower && character.is_uppercase()) {
                stems.extend(stem(&word));
                word.clear();
            }
            if character.is_alphanumeric() {
                word.extend(character.to_lowercase());
            }
            was_lower = character.is_lowercase();
        }
        stems.extend(stem(&word));
        word.clear();
    }
    stems.sort_unstable();
    stems.dedup();
    stems
}

/// The first letters of a word as a number; `None` of short and common words.
fn stem(word: &str) -> Option<u64> {
    if word.len() < 3 || COMMON.binary_search(&word).is_ok() {
        return None;
    }
    let letters = word.chars().take(STEM);
    Some(letters.fold(0, |hash, letter| super::ngrams::mix(hash, u64::from(letter))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, schemas: &str) -> [f32; N_TOOL] {
        features(&RequestView { n_tools: 1, tool_schemas: schemas, ..RequestView::from_text(text) })
    }

    fn value(features: [f32; N_TOOL], name: &str) -> f32 {
        features[TOOL_NAMES.iter().position(|n| *n == name).unwrap()]
    }

    const WEATHER: &str = r#"{"name":"getWeather","description":"Current weather of a city",
        "parameters":{"properties":{"city":{"type":"string"},"days":{"type":"integer","default":1}},
        "required":["city"]}}"#;

    #[test]
    fn a_tool_that_the_text_asks_for_matches_and_another_does_not() {
        let asked = of("How is the weather in Rome, Paris and Oslo?", WEATHER);
        let other = of("Translate this poem", WEATHER);
        assert!((value(asked, "tool_name_match") - 1.0).abs() < 1e-6);
        assert!((value(asked, "tool_text_match") - 0.25).abs() < 1e-6, "weather of four words");
        assert!(value(other, "tool_name_match").abs() < 1e-6);
        assert!((value(asked, "tool_clauses_per_required") - 4f32.ln()).abs() < 1e-6);
        assert!((value(asked, "tool_parameters") - 3f32.ln()).abs() < 1e-6);
        assert!((value(asked, "tool_numbers") - 2f32.ln()).abs() < 1e-6);
        assert!((value(asked, "tool_defaults") - 2f32.ln()).abs() < 1e-6);
    }

    #[test]
    fn every_shape_of_a_definition_is_read_alike() {
        let plain = of("weather", WEATHER);
        let wrapped = of("weather", &format!(r#"[{{"type":"function","function":{WEATHER}}}]"#));
        let schema = of("weather", &WEATHER.replace("\"parameters\"", "\"input_schema\""));
        assert_eq!(plain.map(f32::to_bits), wrapped.map(f32::to_bits));
        assert_eq!(plain.map(f32::to_bits), schema.map(f32::to_bits));
    }

    #[test]
    fn what_is_no_definition_counts_as_none() {
        for schemas in ["", "no json", "[]", "[1, {}]", r#"{"name": 3}"#, "null"] {
            assert_eq!(of("weather", schemas).map(f32::to_bits), [0; N_TOOL], "{schemas}");
        }
    }

    #[test]
    fn common_words_are_in_order() {
        assert!(COMMON.is_sorted());
    }
}
