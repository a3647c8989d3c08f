//! What is wrong with a folder is said in one line.

use std::path::Path;

use router_encoder::{EmbedOptions, Encoder, Window};
use serde_json::{Value, json};

use crate::{copy_of_tiny, tiny};

fn error(folder: &Path) -> String {
    let error = Encoder::open(folder.to_str().unwrap()).unwrap_err().to_string();
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

/// The error after a member of `config.json` is changed.
fn configured(member: &str, value: &Value) -> String {
    let folder = copy_of_tiny();
    let path = folder.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config[member] = value.clone();
    std::fs::write(&path, config.to_string()).unwrap();
    error(folder.path())
}

#[test]
fn a_missing_file_is_named() {
    for (name, needed) in [
        ("config.json", "config.json"),
        ("model.safetensors", "model.safetensors"),
        ("vocab.txt", "tokenizer.json or vocab.txt"),
    ] {
        let folder = copy_of_tiny();
        std::fs::remove_file(folder.path().join(name)).unwrap();
        let expected = format!("an encoder needs {needed}, which {}", folder.path().display());
        assert!(error(folder.path()).starts_with(&expected), "{}", error(folder.path()));
    }
    let error = Encoder::open("no/encoder").unwrap_err().to_string();
    assert!(error.contains("hf download no/encoder"), "{error}");
}

#[test]
fn what_is_not_implemented_is_refused() {
    for (member, value, expected) in [
        ("model_type", json!("roberta"), "model_type must be bert, got roberta"),
        ("hidden_act", json!("silu"), "hidden_act must be gelu, gelu_new or relu, got silu"),
        ("is_decoder", json!(true), "is_decoder must be false, got true"),
        (
            "position_embedding_type",
            json!("relative_key"),
            "position_embedding_type must be absolute, got relative_key",
        ),
    ] {
        assert_eq!(configured(member, &value), expected);
    }
    let folder = copy_of_tiny();
    let modules = r#"[{"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]"#;
    std::fs::write(folder.path().join("modules.json"), modules).unwrap();
    std::fs::create_dir(folder.path().join("1_Pooling")).unwrap();
    let pooling = folder.path().join("1_Pooling/config.json");
    std::fs::write(&pooling, r#"{"pooling_mode_max_tokens": true}"#).unwrap();
    let expected = "pooling_mode must be mean_tokens or cls_token alone, got another";
    assert_eq!(error(folder.path()), expected);
    std::fs::write(&pooling, r#"{"pooling_mode_cls_token": true}"#).unwrap();
    assert!(Encoder::open(folder.path().to_str().unwrap()).is_ok());
}

#[test]
fn shapes_that_do_not_agree_are_named() {
    let shape = configured("intermediate_size", &json!(48));
    let expected =
        "encoder.layer.0.intermediate.dense.weight must have shape [48, 24], got [40, 24]";
    assert_eq!(shape, expected);
    let heads = configured("num_attention_heads", &json!(5));
    assert_eq!(heads, "num_attention_heads must be a divisor of hidden_size 24, got 5");
    let layers = configured("num_hidden_layers", &json!(3));
    assert!(layers.contains("no tensor encoder.layer.2.attention.self.query.weight"), "{layers}");
    let words = configured("vocab_size", &json!(30));
    assert_eq!(words, "tokens of the tokenizer must be at most vocab_size 30, got 117");
    let epsilon = configured("layer_norm_eps", &json!(0.0));
    assert_eq!(epsilon, "layer_norm_eps must be in (0, 1), got 0");
    let number = configured("hidden_size", &json!("x"));
    assert!(number.contains("config.json: invalid type: string"), "{number}");
}

#[test]
fn damaged_weights_are_refused() {
    let folder = copy_of_tiny();
    let path = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    for (damaged, expected) in [
        (bytes[..bytes.len() - 1].to_vec(), "it must have 57400 bytes, got 57399"),
        (bytes[..5].to_vec(), "failed to fill whole buffer"),
        (u64::MAX.to_le_bytes().to_vec(), "its header must have at most 100000000 bytes"),
        ([&[2u8, 0, 0, 0, 0, 0, 0, 0], b"xx".as_slice()].concat(), "model.safetensors"),
        ([&bytes[..bytes.len() - 4], &f32::NAN.to_le_bytes()].concat(), "must be finite, got NaN"),
    ] {
        std::fs::write(&path, damaged).unwrap();
        let error = error(folder.path());
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn too_few_tokens_are_refused() {
    let options = EmbedOptions { max_tokens: 2, window: Window::Head };
    let error = tiny().embed(&["a"], &options).unwrap_err().to_string();
    assert_eq!(error, "max_tokens must be at least 3, got 2");
    assert_eq!(
        "middle".parse::<Window>().unwrap_err(),
        "window must be head, tail, ends or all, got middle"
    );
}
