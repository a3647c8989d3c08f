//! The tensors of nearest neighbors.

use safetensors::tensor::{Dtype, SafeTensors};

use super::{ArtifactError, Tensors, numbers};
use crate::manifest::NeighborSpec;
use crate::predictor::NeighborParts;

/// Their names.
pub(super) const TENSORS: [&str; 5] = [
    "neighbors.adds",
    "neighbors.centers",
    "neighbors.points",
    "neighbors.scales",
    "neighbors.starts",
];

/// What of them is not a tensor.
pub(super) fn spec(parts: &NeighborParts) -> NeighborSpec {
    NeighborSpec {
        first: parts.first,
        dimensions: parts.dimensions,
        k: parts.k,
        power: parts.power,
        shrinkage: parts.shrinkage,
        probes: parts.probes,
    }
}

/// Adds the tensors of neighbors that have been checked.
pub(super) fn write(parts: &NeighborParts, tensors: &mut Tensors) {
    let (n, n_arms, dimensions) = (parts.n_points(), parts.scales.len(), parts.dimensions);
    let n_clusters = parts.starts.len() - 1;
    let bytes = |values: &[i8]| values.iter().flat_map(|value| value.to_le_bytes()).collect();
    for (name, shape, values) in [
        ("neighbors.adds", vec![n, n_arms], &parts.adds),
        ("neighbors.centers", vec![n_clusters, dimensions], &parts.centers),
        ("neighbors.points", vec![n, dimensions], &parts.points),
    ] {
        tensors.insert(name, (Dtype::I8, shape, bytes(values)));
    }
    let scales = parts.scales.iter().flat_map(|scale| scale.to_le_bytes()).collect();
    tensors.insert("neighbors.scales", (Dtype::F32, vec![n_arms], scales));
    let starts = parts.starts.iter().flat_map(|start| start.to_le_bytes()).collect();
    tensors.insert("neighbors.starts", (Dtype::U32, vec![n_clusters + 1], starts));
}

/// Reads them; [`Linear::new`](crate::predictor::Linear::new) checks shapes and numbers.
pub(super) fn read(
    spec: &NeighborSpec,
    tensors: &SafeTensors<'_>,
) -> Result<NeighborParts, ArtifactError> {
    let bytes = |name: &str| numbers(tensors, name, Dtype::I8, i8::from_le_bytes);
    Ok(NeighborParts {
        first: spec.first,
        dimensions: spec.dimensions,
        k: spec.k,
        power: spec.power,
        shrinkage: spec.shrinkage,
        probes: spec.probes,
        centers: bytes("neighbors.centers")?,
        starts: numbers(tensors, "neighbors.starts", Dtype::U32, u32::from_le_bytes)?,
        points: bytes("neighbors.points")?,
        adds: bytes("neighbors.adds")?,
        scales: numbers(tensors, "neighbors.scales", Dtype::F32, f32::from_le_bytes)?,
    })
}

#[cfg(test)]
mod tests {
    use crate::artifact::{Weights, to_bytes};
    use crate::predictor::{Linear, Predictor, Scratch};
    use crate::request::RequestView;
    use crate::router::Router;
    use crate::testing::{manifest, random_bag_parts, random_linear_parts, random_neighbors};

    #[test]
    fn a_router_with_neighbors_survives_the_round_trip() {
        let mut parts = random_linear_parts(2, 1, 1);
        parts.bag = Some(random_bag_parts(&parts, 6, 2));
        parts.neighbors = Some(random_neighbors(2, 6, 50, 3));
        let view = RequestView::from_text("What is 2 + 2?\nA. 3\nB. 4");
        let linear = Linear::new(parts.clone()).unwrap();
        let before = linear.predict(&view, &mut Scratch::default());
        let write = |parts| to_bytes(manifest(&["a", "b"]), Weights::Linear(Box::new(parts)));
        let router = Router::from_bytes(&write(parts.clone()).unwrap()).unwrap();
        assert_eq!(router.predict(&view, &mut Scratch::default()), before);
        // The parts of a score sum to it.
        let said = Predictor::parts(&linear, &view, &mut Scratch::default());
        assert!(said.iter().any(|part| part.name == "neighbors" && part.adds[0].abs() > 1e-3));
        for arm in 0..2 {
            let sum: f64 = said.iter().map(|part| part.adds[arm]).sum();
            assert!((sum - before.score[arm]).abs() < 1e-5, "{sum} {}", before.score[arm]);
        }
        parts.bag = None;
        let error = write(parts).unwrap_err().to_string();
        assert!(error.contains("hidden units of neighbors must have 6 numbers, got 0"), "{error}");
    }
}
