//! The transformer: embeddings, blocks of attention and dense layers, pooling.
//!
//! Sequences lie one after another without padding, those of one length beside each other: dense
//! layers see one matrix of all tokens, attention one stack of matrices per length.

use burn::module::{Module, Param};
use burn::tensor::activation::{gelu, gelu_approximate, relu, softmax};
use burn::tensor::module::{layer_norm, linear};
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::config::{Activation, EncoderConfig, Pooling};
use crate::error::EncoderError;
use crate::fast;
use crate::weights::{Numbers, Weights};

/// Added to the attention that padding gets; so it gets none.
const PADDING_SCORE: f32 = -1e9;

/// `x W + b`.
#[derive(Module, Debug)]
pub(crate) struct Dense {
    /// `[inputs, outputs]`.
    weight: Param<Tensor<2>>,
    /// `[outputs]`.
    bias: Param<Tensor<1>>,
}

impl Dense {
    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        linear(input, self.weight.val(), Some(self.bias.val()))
    }
}

/// Layer normalization.
#[derive(Module, Debug)]
pub(crate) struct Norm {
    /// `[hidden]`.
    scale: Param<Tensor<1>>,
    /// `[hidden]`.
    shift: Param<Tensor<1>>,
}

impl Norm {
    fn forward(&self, input: Tensor<2>, epsilon: f64) -> Tensor<2> {
        layer_norm(input, self.scale.val(), Some(self.shift.val()), epsilon)
    }
}

/// One block.
#[derive(Module, Debug)]
pub(crate) struct Block {
    /// Queries, keys and values beside each other.
    attention: Dense,
    output: Dense,
    attention_norm: Norm,
    up: Dense,
    down: Dense,
    norm: Norm,
}

/// Embeddings and blocks.
#[derive(Module, Debug)]
pub(crate) struct Bert {
    /// `[n_vocabulary, hidden]`.
    words: Param<Tensor<2>>,
    /// `[n_positions, hidden]`, the embedding of the first segment added.
    positions: Param<Tensor<2>>,
    norm: Norm,
    pub(crate) blocks: Vec<Block>,
}

/// Sequences one after another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Packed {
    /// Tokens of all sequences.
    pub(crate) ids: Vec<u32>,
    /// `(n, length)`: so many sequences of that length follow.
    pub(crate) runs: Vec<(usize, usize)>,
    /// Tokens of each sequence that are no padding.
    lengths: Vec<usize>,
}

impl Packed {
    /// Adds a sequence.
    pub(crate) fn push(&mut self, ids: &[u32]) {
        self.ids.extend(ids);
        self.lengths.push(ids.len());
        match self.runs.last_mut() {
            Some((n, length)) if *length == ids.len() => *n += 1,
            _ => self.runs.push((1, ids.len())),
        }
    }

    /// Sequences padded to the longest, so that there is one run: gradients of many small parts
    /// cost more than padding does.
    pub(crate) fn padded(sequences: &[&[u32]]) -> Self {
        let longest = sequences.iter().map(|ids| ids.len()).max().unwrap_or(0);
        let mut packed = Self { runs: vec![(sequences.len(), longest)], ..Self::default() };
        for ids in sequences {
            packed.ids.extend(*ids);
            packed.ids.resize(packed.ids.len() + longest - ids.len(), 0);
            packed.lengths.push(ids.len());
        }
        packed
    }

    fn positions(&self) -> impl Iterator<Item = i64> {
        self.runs.iter().flat_map(|&(n, length)| (0..n).flat_map(move |_| (0i64..).take(length)))
    }

    /// The runs with what lies before them and the lengths of their sequences:
    /// `(first token, n, length, lengths)`.
    fn parts(&self) -> impl Iterator<Item = (usize, usize, usize, &[usize])> {
        let (mut token, mut sequence) = (0, 0);
        self.runs.iter().map(move |&(n, length)| {
            let part = (token, n, length, &self.lengths[sequence..][..n]);
            token += n * length;
            sequence += n;
            part
        })
    }
}

/// `[n * length]` numbers, one for each token and another for padding; `None` without padding.
fn by_padding(
    lengths: &[usize],
    length: usize,
    token: impl Fn(usize) -> f32,
    padding: f32,
) -> Option<Vec<f32>> {
    lengths.iter().any(|n| *n < length).then(|| {
        let row = |n: &usize| {
            let (n, value) = (*n, token(*n));
            (0..length).map(move |at| if at < n { value } else { padding })
        };
        lengths.iter().flat_map(row).collect()
    })
}

impl Bert {
    /// Reads and checks all weights.
    pub(crate) fn read(
        weights: &mut Weights,
        config: &EncoderConfig,
        device: &Device,
    ) -> Result<Self, EncoderError> {
        let hidden = config.hidden;
        let mut reader = Reader { weights, device };
        let embeddings = "embeddings";
        let name = format!("{embeddings}.word_embeddings.weight");
        let words = reader.weights.read(&name, &[config.n_vocabulary, hidden])?;
        let name = format!("{embeddings}.position_embeddings.weight");
        let mut positions = reader.weights.read(&name, &[config.n_positions, hidden])?;
        let name = format!("{embeddings}.token_type_embeddings.weight");
        let types = reader.weights.read(&name, &[config.n_types, hidden])?;
        for row in positions.chunks_exact_mut(hidden) {
            row.iter_mut().zip(&types).for_each(|(position, first)| *position += first);
        }
        let norm = reader.norm(&format!("{embeddings}.LayerNorm"), hidden)?;
        let blocks: Result<Vec<Block>, EncoderError> =
            (0..config.n_layers).map(|layer| reader.block(layer, config)).collect();
        Ok(Self {
            words: matrix(words, [config.n_vocabulary, hidden], device),
            positions: matrix(positions, [config.n_positions, hidden], device),
            norm,
            blocks: blocks?,
        })
    }

    /// Gradients for the last `n_blocks` blocks only.
    pub(crate) fn frozen_but(self, n_blocks: usize) -> Self {
        let n_frozen = self.blocks.len().saturating_sub(n_blocks);
        let freeze =
            |(at, block): (usize, Block)| if at < n_frozen { block.no_grad() } else { block };
        Self {
            words: self.words.set_require_grad(false),
            positions: self.positions.set_require_grad(false),
            norm: self.norm.no_grad(),
            blocks: self.blocks.into_iter().enumerate().map(freeze).collect(),
        }
    }

    /// `[n_tokens, hidden]`.
    pub(crate) fn forward(&self, packed: &Packed, config: &EncoderConfig) -> Tensor<2> {
        let device = self.words.val().device();
        let index = |ids: Vec<i64>| {
            let n = ids.len();
            Tensor::<1, Int>::from_data(TensorData::new(ids, [n]), &device.clone().inner())
        };
        let ids = packed.ids.iter().map(|id| i64::from(*id)).collect();
        let words = self.words.val().select(0, index(ids));
        let positions = self.positions.val().select(0, index(packed.positions().collect()));
        let mut states = self.norm.forward(words + positions, config.epsilon);
        for block in &self.blocks {
            states = block.forward(states, packed, config);
        }
        states
    }
}

impl Block {
    fn forward(&self, states: Tensor<2>, packed: &Packed, config: &EncoderConfig) -> Tensor<2> {
        let epsilon = config.epsilon;
        let context = self.attend(states.clone(), packed, config);
        let states = self.attention_norm.forward(self.output.forward(context) + states, epsilon);
        let inner = self.up.forward(states.clone());
        let inner = match config.activation {
            Activation::Gelu => in_place(inner, fast::gelu, gelu),
            Activation::GeluTanh => gelu_approximate(inner),
            Activation::Relu => relu(inner),
        };
        self.norm.forward(self.down.forward(inner) + states, epsilon)
    }

    /// `softmax(Q Kᵀ / √d) V` of every head and sequence, `[n_tokens, hidden]`.
    fn attend(&self, states: Tensor<2>, packed: &Packed, config: &EncoderConfig) -> Tensor<2> {
        let (hidden, heads) = (config.hidden, config.n_heads);
        let size = hidden / heads;
        #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
        let scale = (1.0 / (size as f64).sqrt()) as f32;
        let projected = self.attention.forward(states);
        let mut contexts = Vec::with_capacity(packed.runs.len());
        for (start, n, length, lengths) in packed.parts() {
            let rows = projected.clone().narrow(0, start, n * length);
            let part = |at: usize| {
                let part = rows.clone().narrow(1, at * hidden, hidden);
                part.reshape([n, length, heads, size]).swap_dims(1, 2)
            };
            let mut scores = (part(0) * scale).matmul(part(1).swap_dims(2, 3));
            if let Some(bias) = by_padding(lengths, length, |_| 0.0, PADDING_SCORE) {
                let bias = TensorData::new(bias, [n, 1, 1, length]);
                scores = scores + Tensor::from_data(bias, &rows.device());
            }
            let rows = |values: &mut [f32]| fast::softmax(values, length);
            let scores = in_place(scores, rows, |scores| softmax(scores, 3));
            let context = scores.matmul(part(2));
            contexts.push(context.swap_dims(1, 2).reshape([n * length, hidden]));
        }
        if contexts.len() == 1 { contexts.remove(0) } else { Tensor::cat(contexts, 0) }
    }

    /// Its tensors as Hugging Face names and lays them out.
    pub(crate) fn tensors(&self, layer: usize) -> Result<Vec<(String, Numbers)>, EncoderError> {
        let hidden = self.output.bias.val().dims()[0];
        let mut tensors = Vec::new();
        let mut add = |name: &str, shape: Vec<usize>, numbers| {
            tensors.push((format!("encoder.layer.{layer}.{name}"), (shape, numbers)));
        };
        let weights = transposed(&self.attention.weight)?;
        let bias = floats(self.attention.bias.val())?;
        for (at, kind) in ["query", "key", "value"].into_iter().enumerate() {
            let name = format!("attention.self.{kind}");
            let part = weights[at * hidden * hidden..][..hidden * hidden].to_vec();
            add(&format!("{name}.weight"), vec![hidden, hidden], part);
            let part = bias[at * hidden..][..hidden].to_vec();
            add(&format!("{name}.bias"), vec![hidden], part);
        }
        for (name, dense) in [
            ("attention.output.dense", &self.output),
            ("intermediate.dense", &self.up),
            ("output.dense", &self.down),
        ] {
            let [inputs, outputs] = dense.weight.val().dims();
            let weights = transposed(&dense.weight)?;
            add(&format!("{name}.weight"), vec![outputs, inputs], weights);
            add(&format!("{name}.bias"), vec![outputs], floats(dense.bias.val())?);
        }
        for (name, norm) in
            [("attention.output.LayerNorm", &self.attention_norm), ("output.LayerNorm", &self.norm)]
        {
            add(&format!("{name}.weight"), vec![hidden], floats(norm.scale.val())?);
            add(&format!("{name}.bias"), vec![hidden], floats(norm.shift.val())?);
        }
        Ok(tensors)
    }
}

/// `fast` on the numbers of a tensor, or `tracked` where gradients are wanted.
fn in_place<const D: usize>(
    tensor: Tensor<D>,
    fast: impl FnOnce(&mut [f32]),
    tracked: impl FnOnce(Tensor<D>) -> Tensor<D>,
) -> Tensor<D> {
    let device = tensor.device();
    if device.is_autodiff() {
        return tracked(tensor);
    }
    let mut data = tensor.into_data();
    match data.as_mut_slice::<f32>() {
        Ok(values) => fast(values),
        // Weights are f32 on every device that this crate makes.
        Err(_) => return tracked(Tensor::from_data(data, &device)),
    }
    Tensor::from_data(data, &device)
}

/// `[n_sequences, hidden]`: the vectors of sequences from those of their tokens.
pub(crate) fn pool(states: &Tensor<2>, packed: &Packed, pooling: Pooling) -> Tensor<2> {
    let hidden = states.dims()[1];
    let mut pooled = Vec::with_capacity(packed.runs.len());
    for (start, n, length, lengths) in packed.parts() {
        let rows = states.clone().narrow(0, start, n * length).reshape([n, length, hidden]);
        let shares = by_padding(lengths, length, |tokens| 1.0 / tokens as f32, 0.0);
        let vectors = match (pooling, shares) {
            (Pooling::Cls, _) => rows.narrow(1, 0, 1),
            (Pooling::Mean, None) => rows.mean_dim(1),
            (Pooling::Mean, Some(shares)) => {
                let shares = TensorData::new(shares, [n, length, 1]);
                (rows * Tensor::from_data(shares, &states.device())).sum_dim(1)
            }
        };
        pooled.push(vectors.reshape([n, hidden]));
    }
    Tensor::cat(pooled, 0)
}

/// Reads the parts of a network.
struct Reader<'a> {
    weights: &'a mut Weights,
    device: &'a Device,
}

impl Reader<'_> {
    fn block(&mut self, layer: usize, config: &EncoderConfig) -> Result<Block, EncoderError> {
        let EncoderConfig { hidden, intermediate, .. } = *config;
        let name = |part: &str| format!("encoder.layer.{layer}.{part}");
        let [query, key, value] =
            ["query", "key", "value"].map(|part| name(&format!("attention.self.{part}")));
        Ok(Block {
            attention: self.dense(&[&query, &key, &value], hidden, hidden)?,
            output: self.dense(&[&name("attention.output.dense")], hidden, hidden)?,
            attention_norm: self.norm(&name("attention.output.LayerNorm"), hidden)?,
            up: self.dense(&[&name("intermediate.dense")], hidden, intermediate)?,
            down: self.dense(&[&name("output.dense")], intermediate, hidden)?,
            norm: self.norm(&name("output.LayerNorm"), hidden)?,
        })
    }

    /// Layers of that many inputs and outputs each, beside each other.
    fn dense(
        &mut self,
        names: &[&str],
        inputs: usize,
        outputs: usize,
    ) -> Result<Dense, EncoderError> {
        let (mut rows, mut bias) = (Vec::new(), Vec::new());
        for name in names {
            rows.extend(self.weights.read(&format!("{name}.weight"), &[outputs, inputs])?);
            bias.extend(self.weights.read(&format!("{name}.bias"), &[outputs])?);
        }
        let n = names.len() * outputs;
        Ok(Dense {
            weight: matrix(transpose(&rows, n, inputs), [inputs, n], self.device),
            bias: vector(bias, self.device),
        })
    }

    fn norm(&mut self, name: &str, hidden: usize) -> Result<Norm, EncoderError> {
        let scale = self.weights.read(&format!("{name}.weight"), &[hidden])?;
        let shift = self.weights.read(&format!("{name}.bias"), &[hidden])?;
        Ok(Norm { scale: vector(scale, self.device), shift: vector(shift, self.device) })
    }
}

fn matrix(numbers: Vec<f32>, shape: [usize; 2], device: &Device) -> Param<Tensor<2>> {
    Param::from_data(TensorData::new(numbers, shape), device)
}

fn vector(numbers: Vec<f32>, device: &Device) -> Param<Tensor<1>> {
    let n = numbers.len();
    Param::from_data(TensorData::new(numbers, [n]), device)
}

/// `[n_columns * n_rows]` of `[n_rows * n_columns]`.
fn transpose(numbers: &[f32], n_rows: usize, n_columns: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(numbers.len());
    for column in 0..n_columns {
        out.extend((0..n_rows).map(|row| numbers[row * n_columns + column]));
    }
    out
}

fn transposed(weight: &Param<Tensor<2>>) -> Result<Vec<f32>, EncoderError> {
    let [inputs, outputs] = weight.val().dims();
    Ok(transpose(&floats(weight.val())?, inputs, outputs))
}

/// What a tensor holds, row after row.
pub(crate) fn floats<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, EncoderError> {
    tensor.try_into_vec_as().map_err(|error| EncoderError::Backend(error.to_string()))
}
