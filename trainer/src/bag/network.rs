//! The dense part: hidden units to outputs, with burn's gradients.

use burn::module::{Module, Param};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::activation::{log_softmax, tanh};
use burn::tensor::{Device, Tensor, TensorData};

use super::start::Start;
use super::targets::{Columns, Part};
use crate::design::Sparse;

/// Where networks are trained.
fn device() -> Device {
    #[cfg(feature = "cuda")]
    return Device::cuda(0);
    #[cfg(all(feature = "wgpu", not(feature = "cuda")))]
    return Device::wgpu(burn::tensor::DeviceKind::DefaultDevice);
    #[cfg(not(any(feature = "cuda", feature = "wgpu")))]
    Device::flex()
}

/// `tanh(bag) · weights + bias`.
#[derive(Module, Debug)]
struct Dense {
    /// `[hidden, width]`.
    weights: Param<Tensor<2>>,
    /// `[width]`.
    bias: Param<Tensor<1>>,
}

impl Dense {
    fn forward(&self, hidden: Tensor<2>) -> Tensor<2> {
        hidden.matmul(self.weights.val()) + self.bias.val().unsqueeze()
    }
}

/// The dense part while it is trained.
pub(super) struct Trainee {
    dense: Option<Dense>,
    optimizer: ModuleOptimizer,
    device: Device,
    columns: Columns,
    hidden: usize,
}

impl Trainee {
    pub(super) fn new(hidden: usize, columns: Columns, start: &Start, decay: f64) -> Self {
        let device = device().autodiff();
        let width = columns.width();
        let weights = TensorData::new(start.weights.clone(), [hidden, width]);
        let bias = TensorData::new(start.bias.clone(), [width]);
        let dense = Dense {
            weights: Param::from_data(weights, &device),
            bias: Param::from_data(bias, &device),
        };
        #[expect(clippy::cast_possible_truncation, reason = "burn's configuration is f32")]
        let optimizer = AdamWConfig::new().with_weight_decay(decay as f32).init();
        Self { dense: Some(dense), optimizer, device, columns, hidden }
    }

    /// One step on a batch; returns the gradient of its bags, `[n_rows * hidden]`.
    ///
    /// `mask` scales hidden units: 0 for those left out.
    pub(super) fn step(
        &mut self,
        bags: Vec<f32>,
        mask: Vec<f32>,
        part: Part,
        rate: f64,
    ) -> Vec<f32> {
        let n = part.n_rows;
        let tensor = |values: Vec<f32>, width: usize| {
            Tensor::<2>::from_data(TensorData::new(values, [n, width]), &self.device)
        };
        let dense = self.dense.take().expect("it is put back after each step");
        let bags = tensor(bags, self.hidden).require_grad();
        let hidden = tanh(bags.clone()) * tensor(mask, self.hidden);
        let outputs = dense.forward(hidden);
        let (n_regressions, n_tasks) = (self.columns.n_regressions(), self.columns.n_tasks);
        let gap = outputs.clone().narrow(1, 0, n_regressions) - tensor(part.values, n_regressions);
        let mut loss = (gap.clone() * gap * tensor(part.weights, n_regressions)).sum();
        if n_tasks > 0 {
            let logits = outputs.narrow(1, n_regressions, n_tasks);
            loss = loss - (log_softmax(logits, 1) * tensor(part.labels, n_tasks)).sum();
        }
        let mut gradients = (loss / n as f32).backward();
        let gradient = bags.grad_remove(&mut gradients).expect("the loss depends on the bags");
        let gradients = GradientsParams::from_grads(gradients, &dense);
        self.dense = Some(self.optimizer.step(rate, dense, gradients));
        floats(gradient)
    }

    /// The network as it is now, over these embeddings.
    pub(super) fn network(&self, embeddings: Vec<f32>) -> Network {
        let dense = self.dense.as_ref().expect("it is put back after each step");
        Network {
            hidden: self.hidden,
            width: self.columns.width(),
            embeddings,
            weights: floats(dense.weights.val()),
            bias: floats(dense.bias.val()),
        }
    }
}

fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.try_into_vec_as().expect("the device holds what it has computed, as f32")
}

/// A network as plain numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// Hidden units.
    pub hidden: usize,
    /// Outputs.
    pub width: usize,
    /// `[n_columns * hidden]`.
    pub embeddings: Vec<f32>,
    /// `[hidden * width]`.
    pub weights: Vec<f32>,
    /// `[width]`.
    pub bias: Vec<f32>,
}

impl Network {
    /// `[n_rows * width]`, computed by burn.
    pub fn outputs(&self, rows: &Sparse) -> Vec<f32> {
        self.outputs_of_bags(rows.times(&self.embeddings, self.hidden))
    }

    /// `[n_rows * width]` of bags `[n_rows * hidden]`, computed by burn.
    pub fn outputs_of_bags(&self, bags: Vec<f32>) -> Vec<f32> {
        let n = bags.len() / self.hidden;
        if n == 0 {
            return Vec::new();
        }
        let device = device();
        let bags = Tensor::<2>::from_data(TensorData::new(bags, [n, self.hidden]), &device);
        let weights = TensorData::new(self.weights.clone(), [self.hidden, self.width]);
        let weights = Tensor::<2>::from_data(weights, &device);
        let bias = TensorData::new(self.bias.clone(), [1, self.width]);
        floats(tanh(bags).matmul(weights) + Tensor::<2>::from_data(bias, &device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The loss that `step` descends, by finite differences of the one that curves report.
    #[test]
    fn the_gradient_of_bags_is_that_of_the_reported_loss() {
        let columns = Columns { n_models: 2, n_tasks: 3 };
        let width = columns.width();
        let number = |i: usize| ((i * 37 % 19) as f32 - 9.0) / 12.0;
        let start = Start {
            embeddings: Vec::new(),
            weights: (0..4 * width).map(number).collect(),
            bias: (0..width).map(|i| number(i + 5)).collect(),
        };
        let n_regressions = columns.n_regressions();
        let part = Part {
            values: (0..2 * n_regressions).map(|i| number(i + 2)).collect(),
            weights: (0..2 * n_regressions).map(|i| if i % 4 == 1 { 0.0 } else { 0.7 }).collect(),
            // The second row has no label.
            labels: vec![0.0, 1.5, 0.0, 0.0, 0.0, 0.0],
            n_rows: 2,
        };
        let bags: Vec<f32> = (0..8).map(|i| number(i + 11)).collect();
        let mut trainee = Trainee::new(4, columns, &start, 0.0);
        let network = trainee.network(Vec::new());
        let loss = |bags: Vec<f32>| -> f64 {
            part.losses(&network.outputs_of_bags(bags), columns).iter().sum()
        };
        let gradient = trainee.step(bags.clone(), vec![1.0; 8], part.clone(), 1e-9);
        for at in 0..8 {
            let moved = |by: f32| {
                let mut bags = bags.clone();
                bags[at] += by;
                loss(bags)
            };
            let expected = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            let found = f64::from(gradient[at]);
            assert!((found - expected).abs() < 2e-3 * (1.0 + expected.abs()), "{found} {expected}");
        }
    }
}
