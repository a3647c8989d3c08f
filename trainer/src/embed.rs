//! `trainer embed`: prompts of logs → embeddings in a file.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result};
use datasets::{Dataset, open};
use router_core::RequestRow;
use router_encoder::{EmbedOptions, Encoder, Vectors, Window};

/// Prompts that are encoded between two reports of progress.
const STEP: usize = 512;

/// Writes the embeddings of the prompts of logs: safetensors, one row `embeddings` per request,
/// their ids in the metadata.
#[derive(Clone, Debug, clap::Args)]
pub struct Embed {
    /// Parquet files or folders of them (log schema, version 1).
    #[arg(required = true)]
    pub logs: Vec<PathBuf>,
    /// A folder with `config.json`, `model.safetensors` and `tokenizer.json` or `vocab.txt`, or the
    /// id of a model in the Hugging Face cache.
    #[arg(long, value_name = "FOLDER|ID")]
    pub encoder: String,
    /// Tokens of a prompt that it reads.
    #[arg(long, default_value_t = 128)]
    pub max_tokens: usize,
    /// Which tokens of a longer prompt: `head`, `tail`, `ends` or `all`.
    #[arg(long, default_value = "ends")]
    pub window: Window,
    /// The file to write.
    #[arg(short, long, default_value = "vectors.safetensors")]
    pub out: PathBuf,
}

/// Encodes and writes; returns the number of requests.
///
/// # Errors
///
/// If a log or the encoder cannot be read, an option is out of range, or the file cannot be written.
pub fn run(args: &Embed, progress: &dyn Fn(usize, usize)) -> Result<usize> {
    let encoder = Encoder::open(&args.encoder)?;
    let requests: Vec<RequestRow> = match open(&args.logs)?.data {
        Dataset::Table(table) => table.requests,
        Dataset::Log(decisions) => decisions.into_iter().map(|decision| decision.request).collect(),
    };
    let mut seen = BTreeSet::new();
    let is_new = |request: &&RequestRow| seen.insert(request.request_id.clone());
    let requests: Vec<&RequestRow> = requests.iter().filter(is_new).collect();
    let options = EmbedOptions { max_tokens: args.max_tokens, window: args.window };
    let mut values = Vec::with_capacity(requests.len() * encoder.n_dimensions());
    for (at, part) in requests.chunks(STEP).enumerate() {
        let texts: Vec<&str> = part.iter().map(|request| request.prompt.as_str()).collect();
        values.extend(encoder.embed(&texts, &options)?);
        progress((at * STEP + part.len()).min(requests.len()), requests.len());
    }
    let ids: Vec<String> = requests.iter().map(|request| request.request_id.clone()).collect();
    let n = ids.len();
    let bytes = Vectors::new(&args.encoder, &options, ids, values).to_bytes()?;
    std::fs::write(&args.out, bytes)
        .with_context(|| format!("cannot write {}", args.out.display()))?;
    Ok(n)
}
