//! Points on a sphere, cut into clusters: k-means by cosine.

use rayon::prelude::*;

const ITERATIONS: usize = 10;

/// Which point is in which cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Clusters {
    /// Dimensions.
    d: usize,
    /// `[n_clusters * d]`, of length 1.
    pub centers: Vec<f32>,
    /// `[n]`: the cluster of each point.
    pub of: Vec<usize>,
}

impl Clusters {
    /// Cuts vectors, `[n * d]` of any length, into at most `n_clusters`; centers start at points
    /// evenly spread over them.
    pub fn fit(vectors: &[f32], d: usize, n_clusters: usize) -> Self {
        let n = vectors.len() / d;
        let points: Vec<f32> = vectors.chunks_exact(d).flat_map(unit).collect();
        let start = |cluster: usize| &points[cluster * n / n_clusters * d..][..d];
        let mut centers: Vec<f32> = (0..n_clusters.min(n)).flat_map(start).copied().collect();
        if centers.is_empty() {
            return Self { d, centers: vec![0.0; d], of: Vec::new() };
        }
        let mut of = Vec::new();
        for _ in 0..ITERATIONS {
            let now = assign(&points, &centers, d);
            if now == of {
                break;
            }
            of = now;
            centers = means(&points, &of, &centers, d);
        }
        Self { d, of: assign(&points, &centers, d), centers }
    }

    /// Points cluster by cluster, in their order.
    pub fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.of.len()).collect();
        order.sort_by_key(|point| self.of[*point]);
        order
    }

    /// Where each cluster starts in that order, and the number of points.
    pub fn starts(&self) -> Vec<u32> {
        let mut starts = vec![0u32; self.centers.len() / self.d + 1];
        for cluster in &self.of {
            starts[cluster + 1] += 1;
        }
        for cluster in 1..starts.len() {
            starts[cluster] += starts[cluster - 1];
        }
        starts
    }
}

fn unit(vector: &[f32]) -> impl Iterator<Item = f32> + '_ {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    let factor = if length > 0.0 { 1.0 / length } else { 0.0 };
    vector.iter().map(move |x| x * factor)
}

/// The nearest center of each point, ties to the first.
fn assign(points: &[f32], centers: &[f32], d: usize) -> Vec<usize> {
    let nearest = |point: &[f32]| {
        let similarity = |center: &[f32]| point.iter().zip(center).map(|(a, b)| a * b).sum::<f32>();
        let all = centers.chunks_exact(d).map(similarity).enumerate();
        all.fold((0, f32::NEG_INFINITY), |best, one| if one.1 > best.1 { one } else { best }).0
    };
    points.par_chunks(d).map(nearest).collect()
}

/// The unit mean of each cluster; an empty one keeps its center.
fn means(points: &[f32], of: &[usize], centers: &[f32], d: usize) -> Vec<f32> {
    let mut sums = vec![0.0f32; centers.len()];
    for (point, cluster) in points.chunks_exact(d).zip(of) {
        let sum = &mut sums[cluster * d..][..d];
        sum.iter_mut().zip(point).for_each(|(sum, x)| *sum += x);
    }
    let of = |(sum, before): (&[f32], &[f32])| -> Vec<f32> {
        if sum.iter().any(|x| x.abs() > 0.0) { unit(sum).collect() } else { before.to_vec() }
    };
    sums.chunks_exact(d).zip(centers.chunks_exact(d)).flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_are_told_apart_whatever_their_length() {
        let vectors = [3.0, 0.1, 0.0, 2.0, 0.5, 0.0, 0.1, 9.0, 1.0, 0.1];
        let clusters = Clusters::fit(&vectors, 2, 2);
        let (one, other) = (clusters.of[0], clusters.of[1]);
        assert_ne!(one, other);
        assert_eq!(clusters.of, [one, other, one, other, one]);
        let mut order = [0, 2, 4, 1, 3];
        if one > other {
            order = [1, 3, 0, 2, 4];
        }
        assert_eq!(clusters.order(), order);
        assert_eq!(clusters.starts(), if one < other { [0, 3, 5] } else { [0, 2, 5] });
    }

    #[test]
    fn more_clusters_than_points_and_no_points_are_fine() {
        assert_eq!(Clusters::fit(&[1.0, 0.0], 2, 5).starts(), [0, 1]);
        assert_eq!(Clusters::fit(&[], 2, 3).starts(), [0, 0]);
    }
}
