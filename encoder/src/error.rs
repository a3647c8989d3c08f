use std::path::PathBuf;

/// Why a folder is no encoder that can be run, or a text could not be encoded.
#[derive(Debug, thiserror::Error)]
pub enum EncoderError {
    /// Neither a folder nor a model of the Hugging Face cache.
    #[error(
        "no encoder {name}: it is neither a folder nor in the Hugging Face cache {}; fetch it with: \
         hf download {name}", cache.display()
    )]
    NotFound {
        /// What was asked for.
        name: String,
        /// Where it was looked for.
        cache: PathBuf,
    },
    /// A file that an encoder needs is not there.
    #[error("an encoder needs {needed}, which {} does not have", folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// Name of the file.
        needed: &'static str,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{}: {problem}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// An architecture, or an option of it, that is not supported.
    #[error("{quantity} must be {supported}, got {found}")]
    Unsupported {
        /// What it is.
        quantity: &'static str,
        /// What can be run.
        supported: &'static str,
        /// What the folder asks for.
        found: String,
    },
    /// A tensor of another shape than `config.json` says.
    #[error("{name} must have shape {expected:?}, got {found:?}")]
    Shape {
        /// The tensor.
        name: String,
        /// By `config.json`.
        expected: Vec<usize>,
        /// In `model.safetensors`.
        found: Vec<usize>,
    },
    /// A tensor with a number that is not finite.
    #[error("{name} must be finite, got {value}")]
    NotFinite {
        /// The tensor.
        name: String,
        /// The number.
        value: f32,
    },
    /// A number that is out of range.
    #[error("{quantity} must be {bound}, got {value}")]
    Range {
        /// What it is.
        quantity: &'static str,
        /// What it must be.
        bound: String,
        /// What it is instead.
        value: String,
    },
    /// A text that the tokenizer refuses.
    #[error("the tokenizer refuses a text: {0}")]
    Tokenizer(String),
    /// The backend could not compute.
    #[error("the backend failed: {0}")]
    Backend(String),
}
