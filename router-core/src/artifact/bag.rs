//! The tensors of an embedding bag.

use safetensors::tensor::{Dtype, SafeTensors};

use super::{ArtifactError, Tensors, numbers};
use crate::features::N_SURFACE;
use crate::predictor::BagParts;

/// Their names.
pub(super) const TENSORS: [&str; 8] = [
    "bag.bias",
    "bag.cost_bias",
    "bag.cost_weights",
    "bag.embeddings",
    "bag.hidden_bias",
    "bag.scales",
    "bag.surface_weights",
    "bag.weights",
];

/// Adds the tensors of a bag that has been checked.
pub(super) fn write(bag: &BagParts, tensors: &mut Tensors) {
    let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let embeddings = bag.embeddings.iter().flat_map(|byte| byte.to_le_bytes()).collect();
    let (n, hidden, width) = (bag.scales.len(), bag.hidden, bag.bias.len());
    tensors.insert("bag.embeddings", (Dtype::I8, vec![n, hidden], embeddings));
    for (name, shape, values) in [
        ("bag.bias", vec![width], &bag.bias),
        ("bag.cost_bias", vec![bag.cost_bias.len()], &bag.cost_bias),
        ("bag.cost_weights", vec![hidden, bag.cost_bias.len()], &bag.cost_weights),
        ("bag.hidden_bias", vec![hidden], &bag.hidden_bias),
        ("bag.scales", vec![n], &bag.scales),
        ("bag.surface_weights", vec![N_SURFACE, hidden], &bag.surface_weights),
        ("bag.weights", vec![hidden, width], &bag.weights),
    ] {
        tensors.insert(name, (Dtype::F32, shape, bytes(values)));
    }
}

/// Reads them; [`Linear::new`](crate::predictor::Linear::new) checks shapes and numbers.
pub(super) fn read(hidden: usize, tensors: &SafeTensors<'_>) -> Result<BagParts, ArtifactError> {
    let f32s = |name: &str| numbers(tensors, name, Dtype::F32, f32::from_le_bytes);
    Ok(BagParts {
        hidden,
        embeddings: numbers(tensors, "bag.embeddings", Dtype::I8, i8::from_le_bytes)?,
        scales: f32s("bag.scales")?,
        surface_weights: f32s("bag.surface_weights")?,
        hidden_bias: f32s("bag.hidden_bias")?,
        weights: f32s("bag.weights")?,
        bias: f32s("bag.bias")?,
        cost_weights: f32s("bag.cost_weights")?,
        cost_bias: f32s("bag.cost_bias")?,
    })
}

#[cfg(test)]
mod tests {
    use crate::artifact::{Weights, to_bytes};
    use crate::predictor::{Linear, Predictor, Scratch};
    use crate::request::RequestView;
    use crate::router::Router;
    use crate::testing::{manifest, random_bag_parts, random_linear_parts};

    #[test]
    fn a_router_with_a_bag_survives_the_round_trip() {
        let mut parts = random_linear_parts(2, 1, 1);
        parts.bag = Some(random_bag_parts(&parts, 6, 2));
        let view = RequestView::from_text("What is 2 + 2?\nA. 3\nB. 4");
        let before = Linear::new(parts.clone()).unwrap().predict(&view, &mut Scratch::default());
        let write = |parts| to_bytes(manifest(&["a", "b"]), Weights::Linear(Box::new(parts)));
        let router = Router::from_bytes(&write(parts.clone()).unwrap()).unwrap();
        assert_eq!(router.predict(&view, &mut Scratch::default()), before);
        parts.bag = None;
        let without = Router::from_bytes(&write(parts.clone()).unwrap()).unwrap();
        assert_ne!(without.predict(&view, &mut Scratch::default()).score, before.score);
        let mut bag = random_bag_parts(&parts, 6, 2);
        bag.scales[7] = f32::NAN;
        parts.bag = Some(bag);
        let error = write(parts).unwrap_err().to_string();
        assert!(error.contains("bag scales must be finite, got NaN or infinity at 7"), "{error}");
    }
}
