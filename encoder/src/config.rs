//! What a folder says of its encoder.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::EncoderError;

/// The nonlinearity between the two dense layers of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x Φ(x)`.
    Gelu,
    /// The approximation of `x Φ(x)` by tanh.
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
}

/// How the vectors of tokens become that of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// The first one, that of `[CLS]`.
    Cls,
}

/// The shape of an encoder and how it pools.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderConfig {
    /// Dimensions of a token, and of an embedding.
    pub hidden: usize,
    /// Number of blocks.
    pub n_layers: usize,
    /// Attention heads of a block; they divide `hidden`.
    pub n_heads: usize,
    /// Dimensions between the two dense layers of a block.
    pub intermediate: usize,
    /// Number of tokens it knows.
    pub n_vocabulary: usize,
    /// Positions it has embeddings for.
    pub n_positions: usize,
    /// Kinds of segments it has embeddings for; texts are of the first.
    pub n_types: usize,
    /// Added to variances.
    pub epsilon: f64,
    /// Between the dense layers.
    pub activation: Activation,
    /// Tokens to text.
    pub pooling: Pooling,
    /// Whether embeddings have length 1.
    pub normalize: bool,
    /// Tokens of a text that it was made for, `[CLS]` and `[SEP]` included.
    pub max_tokens: usize,
}

#[derive(Deserialize)]
struct RawConfig {
    model_type: String,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    vocab_size: usize,
    max_position_embeddings: usize,
    type_vocab_size: usize,
    layer_norm_eps: f64,
    hidden_act: String,
    #[serde(default = "absolute")]
    position_embedding_type: String,
    #[serde(default)]
    is_decoder: bool,
}

fn absolute() -> String {
    "absolute".to_owned()
}

#[derive(Deserialize)]
struct RawModule {
    #[serde(rename = "type")]
    kind: String,
    path: String,
}

#[derive(Deserialize)]
struct RawPooling {
    #[serde(default)]
    pooling_mode: Option<String>,
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
    #[serde(default)]
    pooling_mode_max_tokens: bool,
    #[serde(default)]
    pooling_mode_mean_sqrt_len_tokens: bool,
    #[serde(default)]
    pooling_mode_weightedmean_tokens: bool,
    #[serde(default)]
    pooling_mode_lasttoken: bool,
}

#[derive(Deserialize)]
struct RawLength {
    max_seq_length: Option<usize>,
}

impl EncoderConfig {
    /// Reads `config.json`, and the files of sentence-transformers that are there.
    ///
    /// # Errors
    ///
    /// If a file is missing or not as it should be, or asks for an option that is not supported.
    pub(crate) fn read(folder: &Path) -> Result<Self, EncoderError> {
        let raw: RawConfig = json(folder, "config.json")?.ok_or_else(|| EncoderError::Missing {
            folder: folder.to_owned(),
            needed: "config.json",
        })?;
        supported("model_type", "bert", &raw.model_type)?;
        supported("position_embedding_type", "absolute", &raw.position_embedding_type)?;
        supported("is_decoder", "false", &raw.is_decoder.to_string())?;
        let activation = match raw.hidden_act.as_str() {
            "gelu" => Activation::Gelu,
            "gelu_new" | "gelu_pytorch_tanh" => Activation::GeluTanh,
            "relu" => Activation::Relu,
            other => return Err(unsupported("hidden_act", "gelu, gelu_new or relu", other)),
        };
        let (pooling, normalize) = pooling(folder)?;
        let length: Option<RawLength> = json(folder, "sentence_bert_config.json")?;
        let length = length.and_then(|length| length.max_seq_length);
        let config = Self {
            hidden: raw.hidden_size,
            n_layers: raw.num_hidden_layers,
            n_heads: raw.num_attention_heads,
            intermediate: raw.intermediate_size,
            n_vocabulary: raw.vocab_size,
            n_positions: raw.max_position_embeddings,
            n_types: raw.type_vocab_size,
            epsilon: raw.layer_norm_eps,
            activation,
            pooling,
            normalize,
            max_tokens: length.unwrap_or(usize::MAX).min(raw.max_position_embeddings),
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), EncoderError> {
        let range = |quantity, bound: String, value: usize| EncoderError::Range {
            quantity,
            bound,
            value: value.to_string(),
        };
        for (quantity, least, most, value) in [
            ("hidden_size", 1, 1 << 14, self.hidden),
            ("num_hidden_layers", 1, 1 << 8, self.n_layers),
            ("num_attention_heads", 1, 1 << 8, self.n_heads),
            ("intermediate_size", 1, 1 << 16, self.intermediate),
            ("vocab_size", 1, 1 << 22, self.n_vocabulary),
            ("max_position_embeddings", 3, 1 << 16, self.n_positions),
            ("type_vocab_size", 1, 1 << 8, self.n_types),
            ("max_seq_length", 3, 1 << 16, self.max_tokens),
        ] {
            if !(least..=most).contains(&value) {
                return Err(range(quantity, format!("in [{least}, {most}]"), value));
            }
        }
        if !self.hidden.is_multiple_of(self.n_heads) {
            let bound = format!("a divisor of hidden_size {}", self.hidden);
            return Err(range("num_attention_heads", bound, self.n_heads));
        }
        if !(self.epsilon > 0.0 && self.epsilon < 1.0) {
            let (quantity, value) = ("layer_norm_eps", self.epsilon.to_string());
            return Err(EncoderError::Range { quantity, bound: "in (0, 1)".to_owned(), value });
        }
        Ok(())
    }
}

/// Pooling and whether embeddings get length 1; by `modules.json`, or mean and yes without it.
fn pooling(folder: &Path) -> Result<(Pooling, bool), EncoderError> {
    let modules: Option<Vec<RawModule>> = json(folder, "modules.json")?;
    let Some(modules) = modules else { return Ok((Pooling::Mean, true)) };
    let (mut pooling, mut normalize) = (Pooling::Mean, false);
    for module in &modules {
        match module.kind.rsplit('.').next().unwrap_or_default() {
            "Transformer" if module.path.is_empty() => {}
            "Pooling" => {
                let file = format!("{}/config.json", module.path);
                let raw: Option<RawPooling> = json(folder, &file)?;
                pooling = raw.map_or(Ok(Pooling::Mean), |raw| raw.pooling())?;
            }
            "Normalize" => normalize = true,
            other => {
                let modules = "Transformer (of path \"\"), Pooling or Normalize";
                return Err(unsupported("a module of modules.json", modules, other));
            }
        }
    }
    Ok((pooling, normalize))
}

impl RawPooling {
    fn pooling(&self) -> Result<Pooling, EncoderError> {
        let has_other = self.pooling_mode_max_tokens
            || self.pooling_mode_mean_sqrt_len_tokens
            || self.pooling_mode_weightedmean_tokens
            || self.pooling_mode_lasttoken;
        let named = match self.pooling_mode.as_deref() {
            None => (self.pooling_mode_mean_tokens, self.pooling_mode_cls_token),
            Some(mode) => (mode == "mean", mode == "cls"),
        };
        match (named, has_other) {
            ((true, false), false) => Ok(Pooling::Mean),
            ((false, true), false) => Ok(Pooling::Cls),
            _ => Err(unsupported("pooling_mode", "mean_tokens or cls_token alone", "another")),
        }
    }
}

fn supported(quantity: &'static str, value: &'static str, found: &str) -> Result<(), EncoderError> {
    if found == value { Ok(()) } else { Err(unsupported(quantity, value, found)) }
}

fn unsupported(quantity: &'static str, supported: &'static str, found: &str) -> EncoderError {
    EncoderError::Unsupported { quantity, supported, found: found.to_owned() }
}

/// A JSON file of the folder, `None` if it is not there.
pub(crate) fn json<T: DeserializeOwned>(
    folder: &Path,
    name: &str,
) -> Result<Option<T>, EncoderError> {
    let path = folder.join(name);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(EncoderError::Io { path, source }),
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| EncoderError::Invalid { path, problem: error.to_string() })
}
