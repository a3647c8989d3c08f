//! A transformer text encoder of the `MiniLM` class, run by burn on the CPU: text → embedding.
//!
//! [`Encoder::open`] reads a folder as Hugging Face lays it out: `config.json`, `model.safetensors`
//! and `tokenizer.json` or `vocab.txt`; `modules.json`, `1_Pooling/config.json` and
//! `sentence_bert_config.json` of sentence-transformers if they are there. [`Encoder::embed`] turns
//! texts into vectors, and [`tune()`] fits an encoder to classes of texts.
//!
//! A text that is longer than the encoder reads is cut, and where it is cut matters: [`Window`].
//!
//! # References
//!
//! Devlin, Chang, Lee, Toutanova (2019), *BERT*. Reimers, Gurevych (2019), *Sentence-BERT*.
//! Wang et al. (2020), *`MiniLM`*.

mod bert;
mod config;
mod encoder;
mod error;
mod fast;
mod folder;
mod save;
mod tokens;
mod tune;
mod vectors;
mod weights;

pub use config::{Activation, EncoderConfig, Pooling};
pub use encoder::{EmbedOptions, Encoder};
pub use error::EncoderError;
pub use folder::resolve;
pub use tokens::Window;
pub use tune::{Example, Heads, Sets, TuneEpoch, TuneParams, Tuned, fit_heads, tune};
pub use vectors::{Vectors, VectorsError, VectorsOrigin};
