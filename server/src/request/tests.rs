//! Splices, lenient reading, and what is refused.

use proptest::prelude::*;

use super::*;

fn parse(body: &str) -> Result<ChatRequest, RequestError> {
    ChatRequest::parse(Bytes::from(body.to_owned()))
}

fn body_for(body: &str, model: &str) -> String {
    String::from_utf8(parse(body).unwrap().body_for(model).to_vec()).unwrap()
}

#[test]
fn without_a_splice_the_bytes_are_the_clients() {
    let body = r#" {"seed":18446744073709551615, "model" : "a","messages":[{"role":"user","content":"hi\u00e9"}],"x":1e400 } "#;
    assert_eq!(body_for(body, "a"), body);
    let streamed =
        r#"{"model":"a","messages":[{}],"stream":true,"stream_options":{"include_usage":true}}"#;
    assert_eq!(body_for(streamed, "a"), streamed);
    assert!(!parse(streamed).unwrap().asks_usage_for_us());
}

#[test]
fn usage_is_asked_for_once_whatever_was_there() {
    for (options, spliced) in [
        ("", r#","stream_options":{"include_usage":true}"#),
        (r#","stream_options":null"#, r#","stream_options":{"include_usage":true}"#),
        (r#","stream_options": {}"#, r#","stream_options": {"include_usage":true}"#),
        (
            r#","stream_options":{"include_obfuscation":false}"#,
            r#","stream_options":{"include_usage":true,"include_obfuscation":false}"#,
        ),
        (
            r#","stream_options":{"include_usage" : false }"#,
            r#","stream_options":{"include_usage" : true }"#,
        ),
    ] {
        let body = format!(r#"{{"messages":[{{}}],"model":"auto","stream":true{options} }}"#);
        let expected = format!(r#"{{"messages":[{{}}],"model":"m","stream":true{spliced} }}"#);
        assert_eq!(body_for(&body, "m"), expected);
        assert!(parse(&body).unwrap().asks_usage_for_us());
    }
}

#[test]
fn text_is_all_messages_joined_by_blank_lines() {
    let request = parse(
        r#"{"model":"auto","tools":[{"type":"function"}],"max_tokens":7,"messages":[
            {"role":"system","content":"be brief"},
            {"role":"user","content":[{"type":"text","text":"look"},{"type":"image_url","image_url":{}}]},
            {"role":"assistant","content":null,"tool_calls":[]}]}"#,
    )
    .unwrap();
    let view = request.view();
    assert_eq!(view.text, "be brief\n\nlook");
    assert_eq!((view.n_messages, view.n_tools), (3, 1));
    assert_eq!(view.tool_schemas, r#"[{"type":"function"}]"#);
    assert_eq!(view.max_output_tokens, Some(Tokens(7)));
}

#[test]
fn what_cannot_be_read_is_refused_and_named() {
    for (body, message) in [
        ("[]", "the body must be one JSON object, error at line 1 column 0"),
        (r#"{"messages":[{}]}"#, "model is missing"),
        (r#"{"model":1,"messages":[{}]}"#, "model must be a string"),
        (r#"{"model":"a"}"#, "messages is missing"),
        (r#"{"model":"a","messages":[]}"#, "messages must have at least 1 entry, got 0"),
        (
            r#"{"model":"a","messages":[{"content":"a","content":"b"}]}"#,
            "messages must be a list of objects, each member there once",
        ),
        (
            r#"{"model":"a","messages":[{"content":"\ud83d"}]}"#,
            "messages cannot be read: unexpected end of hex escape at line 1 column 20",
        ),
        (r#"{"model":"a","messages":[{}],"stream":3}"#, "stream must be true or false"),
        (
            r#"{"model":"a","messages":[{}],"m\u006fdel":"b"}"#,
            "model must be there once, got twice",
        ),
        (
            r#"{"model":"a","messages":[{}],"stream":true,"stream_options":[]}"#,
            "stream_options must be an object",
        ),
    ] {
        assert_eq!(parse(body).unwrap_err().to_string(), message, "{body}");
    }
}

fn space() -> impl Strategy<Value = String> {
    "[ \n\t]{0,3}"
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        Just("1e999".to_owned()),
        Just("-0.000E+17".to_owned()),
        any::<u64>().prop_map(|number| number.to_string()),
        "[a-z{}\\[\\]:, ]{0,8}".prop_map(|text| format!("\"{text}\\u00e9\\n\"")),
        Just("[ {\"model\":\"inner\"} , [] ]".to_owned()),
    ]
}

proptest! {
    #[test]
    fn the_upstream_body_is_the_clients_but_for_the_splices(
        before in prop::collection::vec(("[b-l]{1,6}", value(), space()), 0..4),
        after in prop::collection::vec(("[b-l]{1,6}", value(), space()), 0..4),
        pad in space(),
        streamed in any::<bool>(),
    ) {
        let member = |(key, value, pad): &(String, String, String)| {
            format!("{pad}\"{key}\"{pad}:{pad}{value}{pad}")
        };
        let build = |model: &str, usage: &str| {
            let mut members: Vec<String> = before.iter().map(member).collect();
            members.push(format!("{pad}\"model\":{pad}\"{model}\"{pad}"));
            members.push(format!("\"messages\":[{{\"content\":\"x\"}}],\"stream\":{streamed}"));
            members.extend(after.iter().map(member));
            let body = members.join(",");
            let end = body.trim_end().len();
            format!("{pad}{{{}{usage}{}}}{pad}", &body[..end], &body[end..])
        };
        let usage = if streamed { ",\"stream_options\":{\"include_usage\":true}" } else { "" };
        prop_assert_eq!(body_for(&build("auto", ""), "m-1"), build("m-1", usage));
    }
}
