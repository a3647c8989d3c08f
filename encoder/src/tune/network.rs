//! Blocks and heads with their gradients.

use burn::module::{Module, Param};
use burn::optim::{AdamWConfig, GradientsAccumulator, GradientsParams, ModuleOptimizer};
use burn::tensor::activation::{log_softmax, softplus};
use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

use super::TuneParams;
use super::batch::Targets;
use crate::bert::{Bert, Packed, floats, pool};
use crate::config::EncoderConfig;
use crate::encoder::Encoder;
use crate::error::EncoderError;
use crate::weights::Weights;

/// Embeddings have length 1; heads read this multiple of them, which also multiplies the rate at
/// which they learn.
const GAIN: f32 = 16.0;

/// Steps of heads alone, over all texts at once.
const HEAD_STEPS: usize = 150;

/// What an embedding says of a text: `e W + b`, a logit per class and one of the complexity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heads {
    /// Number of classes.
    pub n_classes: usize,
    /// `[n_dimensions * (n_classes + 1)]`.
    pub weights: Vec<f32>,
    /// `[n_classes + 1]`.
    pub bias: Vec<f32>,
}

impl Heads {
    /// `[n_classes]` logits and the complexity in `[0, 1]`, for an embedding of length 1.
    pub fn of(&self, embedding: &[f32]) -> (Vec<f32>, f32) {
        let width = self.n_classes + 1;
        let mut logits = self.bias.clone();
        for (value, row) in embedding.iter().zip(self.weights.chunks_exact(width)) {
            logits.iter_mut().zip(row).for_each(|(logit, weight)| *logit += value * weight);
        }
        let complexity = logits.pop().unwrap_or(0.0);
        (logits, 1.0 / (1.0 + (-complexity).exp()))
    }

    /// Mean loss per unit of weight.
    pub(super) fn loss(&self, embeddings: &[f32], targets: &Targets) -> f64 {
        let n = self.weights.len() / (self.n_classes + 1);
        let mut sum = 0.0;
        for (row, embedding) in embeddings.chunks_exact(n).enumerate() {
            let (logits, complexity) = self.of(embedding);
            let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let total: f32 = logits.iter().map(|logit| (logit - highest).exp()).sum();
            let weights = &targets.classes[row * self.n_classes..][..self.n_classes];
            for (logit, weight) in logits.iter().zip(weights) {
                sum -= f64::from(weight * (logit - highest - total.ln()));
            }
            let (known, share) = (targets.known[row], targets.complexities[row]);
            let logs = [complexity, 1.0 - complexity].map(|p| p.max(1e-12).ln());
            sum -= f64::from(share * logs[0] + (known - share) * logs[1]);
        }
        sum / targets.total()
    }
}

/// The penalty of heads alone: half the square of their weights over this is added to the sum of the
/// losses; without it some hundred texts are learned by heart.
const HEAD_COST: f64 = 8.0;

/// Both heads, reading `GAIN` times an embedding.
#[derive(Module, Debug)]
struct HeadModule {
    /// `[n_dimensions, n_classes + 1]`.
    weights: Param<Tensor<2>>,
    /// `[n_classes + 1]`.
    bias: Param<Tensor<1>>,
}

impl HeadModule {
    fn new(heads: &Heads, device: &Device) -> Self {
        let width = heads.n_classes + 1;
        let weights: Vec<f32> = heads.weights.iter().map(|weight| weight / GAIN).collect();
        let n = weights.len() / width;
        Self {
            weights: Param::from_data(TensorData::new(weights, [n, width]), device),
            bias: Param::from_data(TensorData::new(heads.bias.clone(), [width]), device),
        }
    }

    fn heads(&self, n_classes: usize) -> Result<Heads, EncoderError> {
        let weights = floats(self.weights.val())?.into_iter().map(|weight| GAIN * weight).collect();
        Ok(Heads { n_classes, weights, bias: floats(self.bias.val())? })
    }

    /// Sum of the losses of `[n, n_dimensions]` embeddings of length 1.
    fn loss(&self, embeddings: Tensor<2>, targets: &Targets) -> Tensor<1> {
        let Targets { n, n_classes, .. } = *targets;
        let device = embeddings.device();
        let tensor = |values: &[f32], width: usize| {
            Tensor::<2>::from_data(TensorData::new(values.to_vec(), [n, width]), &device)
        };
        let outputs = (embeddings * GAIN).matmul(self.weights.val()) + self.bias.val().unsqueeze();
        let logits = outputs.clone().narrow(1, 0, n_classes);
        let classes = -(log_softmax(logits, 1) * tensor(&targets.classes, n_classes)).sum();
        let logit = outputs.narrow(1, n_classes, 1);
        let known = softplus(logit.clone(), 1.0) * tensor(&targets.known, 1);
        classes + (known - logit * tensor(&targets.complexities, 1)).sum()
    }
}

/// Heads alone, on embeddings that stay as they are, by Adam on all of them.
pub(super) fn fit_heads(
    embeddings: &[f32],
    targets: &Targets,
    n_dimensions: usize,
) -> Result<Heads, EncoderError> {
    let device = Device::flex().autodiff();
    let width = targets.n_classes + 1;
    let nothing = Heads {
        n_classes: targets.n_classes,
        weights: vec![0.0; n_dimensions * width],
        bias: vec![0.0; width],
    };
    let mut module = HeadModule::new(&nothing, &device);
    let data = TensorData::new(embeddings.to_vec(), [targets.n, n_dimensions]);
    let embeddings = Tensor::<2>::from_data(data, &device);
    let mut optimizer: ModuleOptimizer = AdamWConfig::new().with_weight_decay(0.0).init();
    let scale = 1.0 / narrow(targets.total());
    let penalty = GAIN * GAIN * scale / narrow(2.0 * HEAD_COST);
    for step in 0..HEAD_STEPS {
        let loss = module.loss(embeddings.clone(), targets) * scale;
        let weights = module.weights.val();
        let loss = loss + (weights.clone() * weights).sum() * penalty;
        let gradients = GradientsParams::from_grads(loss.backward(), &module);
        let rate = 0.02 * (1.0 - step as f64 / HEAD_STEPS as f64);
        module = optimizer.step(rate, module, gradients);
    }
    module.heads(targets.n_classes)
}

/// Blocks and heads.
#[derive(Module, Debug)]
pub(super) struct Network {
    bert: Bert,
    head: HeadModule,
    #[module(skip)]
    config: EncoderConfig,
}

impl Network {
    /// `[n, n_dimensions]` of length 1.
    fn embeddings(&self, packed: &Packed) -> Tensor<2> {
        let states = self.bert.forward(packed, &self.config);
        let pooled = pool(&states, packed, self.config.pooling);
        let squares = (pooled.clone() * pooled.clone()).sum_dim(1);
        pooled / squares.clamp_min(1e-24).sqrt()
    }

    /// Sum of the losses, without dropout.
    pub(super) fn loss_of(&self, packed: &Packed, targets: &Targets) -> Result<f64, EncoderError> {
        sum(self.head.loss(self.embeddings(packed), targets))
    }
}

/// A network while it is trained.
pub(super) struct Trainee {
    network: Network,
    optimizer: ModuleOptimizer,
    n_classes: usize,
    dropout: f32,
}

impl Trainee {
    pub(super) fn new(
        encoder: &Encoder,
        heads: &Heads,
        params: &TuneParams,
    ) -> Result<Self, EncoderError> {
        let device = Device::flex().autodiff();
        let config = encoder.config().clone();
        let mut weights = Weights::open(encoder.folder())?;
        let bert = Bert::read(&mut weights, &config, &device)?;
        let network = Network {
            bert: bert.frozen_but(params.n_blocks),
            head: HeadModule::new(heads, &device),
            config,
        };
        Ok(Self {
            network,
            optimizer: AdamWConfig::new().with_weight_decay(params.decay).init(),
            n_classes: heads.n_classes,
            dropout: params.dropout,
        })
    }

    /// Sum of the losses of a batch, with dropout, and its gradients.
    pub(super) fn gradients(
        &self,
        packed: &Packed,
        targets: &Targets,
        seed: u64,
    ) -> Result<(f64, GradientsParams), EncoderError> {
        let embeddings = self.network.embeddings(packed);
        let shape = embeddings.dims();
        let mut rng = Pcg64::seed_from_u64(seed);
        let kept = 1.0 / (1.0 - self.dropout);
        let mut keep = || if rng.random_range(0.0..1.0) < self.dropout { 0.0 } else { kept };
        let mask: Vec<f32> = (0..shape[0] * shape[1]).map(|_| keep()).collect();
        let mask = Tensor::from_data(TensorData::new(mask, shape), &embeddings.device());
        let loss = self.network.head.loss(embeddings * mask, targets);
        let gradients = GradientsParams::from_grads(loss.backward(), &self.network);
        Ok((sum(loss)?, gradients))
    }

    /// A step along the mean of gradients of the parts of a batch.
    pub(super) fn descend(
        &mut self,
        parts: impl Iterator<Item = GradientsParams>,
        rate: f64,
        weight: f64,
    ) {
        let mut all = GradientsAccumulator::new();
        parts.for_each(|gradients| all.accumulate(&self.network, gradients));
        // Adam does not see the scale of a loss, but its epsilon does.
        let mut gradients = all.grads();
        scale(&mut gradients, &self.network, 1.0 / narrow(weight));
        self.network = self.optimizer.step(rate, self.network.clone(), gradients);
    }

    pub(super) fn valid(&self) -> Network {
        self.network.valid()
    }

    /// The network as it is now.
    pub(super) fn snapshot(&self) -> (Bert, Result<Heads, EncoderError>) {
        let network = self.valid();
        (network.bert, network.head.heads(self.n_classes))
    }
}

fn scale(gradients: &mut GradientsParams, network: &Network, by: f32) {
    struct Scale<'a>(&'a mut GradientsParams, f32);
    impl burn::module::ModuleVisitor for Scale<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.remove::<D>(param.id) {
                self.0.register(param.id, gradient * self.1);
            }
        }
    }
    network.visit(&mut Scale(gradients, by));
}

fn sum(loss: Tensor<1>) -> Result<f64, EncoderError> {
    Ok(floats(loss)?.iter().map(|loss| f64::from(*loss)).sum())
}

#[expect(clippy::cast_possible_truncation, reason = "gradients are f32")]
fn narrow(value: f64) -> f32 {
    value as f32
}
