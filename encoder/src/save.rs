//! An encoder as a folder that [`Encoder::open`] reads again.

use std::path::Path;

use crate::encoder::Encoder;
use crate::error::EncoderError;
use crate::weights::{WEIGHTS, Weights, write};

/// What is taken over as it is, where it is there.
const FILES: [&str; 9] = [
    "config.json",
    "tokenizer.json",
    "vocab.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "modules.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
];

impl Encoder {
    /// Writes the encoder as f32 with all files of the folder that it was read from.
    ///
    /// # Errors
    ///
    /// If that folder is this one, or a file cannot be read or written.
    pub fn save(&self, folder: &Path) -> Result<(), EncoderError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| EncoderError::Io { path, source }
        };
        std::fs::create_dir_all(folder).map_err(io(folder))?;
        let canonical = |path: &Path| std::fs::canonicalize(path).map_err(io(path));
        if canonical(folder)? == canonical(self.folder())? {
            let (quantity, bound) = ("the folder", "another than the encoder's own".to_owned());
            return Err(EncoderError::Range {
                quantity,
                bound,
                value: folder.display().to_string(),
            });
        }
        for name in FILES {
            let (from, to) = (self.folder().join(name), folder.join(name));
            if from.is_file() {
                let parent = to.parent().unwrap_or(folder);
                std::fs::create_dir_all(parent).map_err(io(parent))?;
                // Through memory, so that links of a cache become files.
                let bytes = std::fs::read(&from).map_err(io(&from))?;
                std::fs::write(&to, bytes).map_err(io(&to))?;
            }
        }
        let mut tensors = Weights::open(self.folder())?.read_all()?;
        for (layer, block) in self.bert.blocks.iter().enumerate() {
            tensors.extend(block.tensors(layer)?);
        }
        write(&folder.join(WEIGHTS), &tensors)
    }
}
