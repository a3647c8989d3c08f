//! Nearest neighbors: what models made of the requests of the past that are most like this one.
//!
//! A request is a point: some hidden units of the [bag](super::bag), scaled to length 1 and rounded
//! to bytes. Known points lie in clusters; the clusters whose centers are nearest to a request are
//! searched, and of their points the `k` nearest are taken. With similarities `c`, cosines of which
//! negative ones count as 0 (all alike if `p` is 0), each arm gets `Σ cᵖ·adds / (s + Σ cᵖ)` added to
//! its output.
//!
//! Similarities are sums of products of bytes, so that they are the same on every machine.

use super::linear::LinearError;

/// The square of the length of a point in bytes, up to rounding.
const UNIT: f32 = 127.0 * 127.0;

/// Everything that nearest neighbors are made of, as plain numbers.
///
/// # Shapes
///
/// `n` points of `dimensions` in `n_clusters`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NeighborParts {
    /// The hidden unit of the bag that is the first dimension.
    pub first: usize,
    /// Dimensions of a point.
    pub dimensions: usize,
    /// Neighbors that are taken.
    pub k: usize,
    /// `p`.
    pub power: u32,
    /// `s`: similarity to a point that adds nothing.
    pub shrinkage: f32,
    /// Clusters that are searched; all of them if there are no more.
    pub probes: usize,
    /// `[n_clusters * dimensions]`.
    pub centers: Vec<i8>,
    /// `[n_clusters + 1]`: where the points of each cluster start, and `n`.
    pub starts: Vec<u32>,
    /// `[n * dimensions]`, cluster by cluster.
    pub points: Vec<i8>,
    /// `[n * n_arms]`: in units of `scales`.
    pub adds: Vec<i8>,
    /// `[n_arms]`.
    pub scales: Vec<f32>,
}

/// Buffers of a search.
#[derive(Clone, Debug, Default)]
pub struct NeighborScratch {
    point: Vec<i8>,
    clusters: Vec<u64>,
    /// Similarity and, below it, place: the largest first in similarity, then the first.
    found: Vec<u64>,
    sums: Vec<f32>,
}

impl NeighborParts {
    /// Number of points.
    pub fn n_points(&self) -> usize {
        self.points.len() / self.dimensions.max(1)
    }

    /// A vector of `dimensions` as bytes, at length 127; zeros for zeros.
    pub fn rounded(vector: &[f32]) -> impl Iterator<Item = i8> + '_ {
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        let factor = if length > 0.0 { 127.0 / length } else { 0.0 };
        #[expect(clippy::cast_possible_truncation, reason = "at most the length, 127")]
        vector.iter().map(move |x| (x * factor).round().clamp(-127.0, 127.0) as i8)
    }

    /// Checks shapes and ranges for a bag of `hidden` units and `n_arms`.
    pub(crate) fn check(&self, hidden: usize, n_arms: usize) -> Result<(), LinearError> {
        let last = self.first.saturating_add(self.dimensions);
        if self.dimensions == 0 || last > hidden {
            return Err(LinearError::Shape("hidden units of neighbors", last.max(1), hidden));
        }
        let n_clusters = self.starts.len().saturating_sub(1);
        let is_ordered = self.starts.windows(2).all(|pair| pair[0] <= pair[1]);
        let ends = (self.starts.first(), self.starts.last());
        let n = self.n_points();
        if !is_ordered || ends.0 != Some(&0) || ends.1.is_none_or(|end| *end as usize != n) {
            let (bound, found) = ("increasing from 0 to the number of points", self.starts.len());
            let found = format!("{found} starts for {n} points");
            return Err(LinearError::Range("neighbor starts", bound, found));
        }
        for (name, expected, found) in [
            ("neighbor centers", n_clusters * self.dimensions, self.centers.len()),
            ("neighbor points", n * self.dimensions, self.points.len()),
            ("neighbor adds", n * n_arms, self.adds.len()),
        ] {
            if expected != found {
                return Err(LinearError::Shape(name, expected, found));
            }
        }
        super::linear::numbers("neighbor scales", &self.scales, n_arms)?;
        let range =
            |name, bound, value: f64| Err(LinearError::Range(name, bound, value.to_string()));
        for (name, value) in [("neighbors k", self.k), ("neighbor probes", self.probes)] {
            if value == 0 {
                return range(name, "at least 1", 0.0);
            }
        }
        if self.power > 16 {
            return range("neighbor power", "at most 16", self.power.into());
        }
        if !(0.0..=1e9).contains(&self.shrinkage) {
            return range("neighbor shrinkage", "in [0, 1e9]", self.shrinkage.into());
        }
        Ok(())
    }

    /// Adds what neighbors say of each arm to the outputs, `[≥ n_arms]`; `units` are the hidden units
    /// of a bag.
    pub fn add_outputs(&self, units: &[f32], scratch: &mut NeighborScratch, outputs: &mut [f32]) {
        self.search(units, scratch);
        let n_arms = self.scales.len();
        let NeighborScratch { found, sums, .. } = scratch;
        sums.clear();
        sums.resize(n_arms, 0.0);
        let mut total = self.shrinkage;
        for &key in found.iter() {
            let (similarity, place) = unpack(key);
            let weight = (f32::max(0.0, similarity as f32) / UNIT).powi(self.power.cast_signed());
            total += weight;
            let adds = &self.adds[place * n_arms..][..n_arms];
            for (sum, add) in sums.iter_mut().zip(adds) {
                *sum += weight * f32::from(*add);
            }
        }
        if total > 0.0 {
            for ((output, sum), scale) in outputs.iter_mut().zip(sums).zip(&self.scales) {
                *output += *sum * scale / total;
            }
        }
    }

    /// Places of the nearest points that are found, in no particular order.
    pub fn nearest<'a>(
        &self,
        units: &[f32],
        scratch: &'a mut NeighborScratch,
    ) -> impl Iterator<Item = usize> + 'a {
        self.search(units, scratch);
        scratch.found.iter().map(|key| unpack(*key).1)
    }

    /// Leaves the nearest points in `scratch.found`, in an order that depends on nothing else.
    fn search(&self, units: &[f32], scratch: &mut NeighborScratch) {
        let NeighborScratch { point, clusters, found, .. } = scratch;
        let vector = units.get(self.first..).unwrap_or_default();
        point.clear();
        point.extend(Self::rounded(&vector[..self.dimensions.min(vector.len())]));
        clusters.clear();
        clusters.extend(keys(point, &self.centers, 0));
        keep_largest(clusters, self.probes);
        found.clear();
        for &key in clusters.iter() {
            let cluster = unpack(key).1;
            let (start, end) = (self.starts[cluster] as usize, self.starts[cluster + 1] as usize);
            let points = &self.points[start * self.dimensions..end * self.dimensions];
            found.extend(keys(point, points, start));
        }
        keep_largest(found, self.k);
    }
}

/// The similarity of a point to each of some rows, and the place of the row.
fn keys<'a>(point: &'a [i8], rows: &'a [i8], first: usize) -> impl Iterator<Item = u64> + 'a {
    let rows = rows.chunks_exact(point.len().max(1));
    rows.enumerate().map(move |(at, row)| pack(dot(point, row), first + at))
}

/// Eight products at a time, in lanes of their own.
fn dot(a: &[i8], b: &[i8]) -> i32 {
    let (a8, a_rest) = a.as_chunks::<8>();
    let (b8, b_rest) = b.as_chunks::<8>();
    let mut lanes = [0i32; 8];
    for (a, b) in a8.iter().zip(b8) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += i32::from(i16::from(*a) * i16::from(*b));
        }
    }
    let rest: i32 = a_rest.iter().zip(b_rest).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
    lanes.iter().sum::<i32>() + rest
}

/// A number that is larger for a higher similarity, then for an earlier place.
fn pack(similarity: i32, place: usize) -> u64 {
    let place = u32::try_from(place).unwrap_or(u32::MAX);
    u64::from(similarity.cast_unsigned() ^ 0x8000_0000) << 32 | u64::from(u32::MAX - place)
}

fn unpack(key: u64) -> (i32, usize) {
    #[expect(clippy::cast_possible_truncation, reason = "the halves of 64 bits")]
    let (high, low) = ((key >> 32) as u32, key as u32);
    ((high ^ 0x8000_0000).cast_signed(), (u32::MAX - low) as usize)
}

/// Keeps the `n` largest.
fn keep_largest(keys: &mut Vec<u64>, n: usize) {
    if keys.len() > n && n > 0 {
        keys.select_nth_unstable_by(n - 1, |a, b| b.cmp(a));
        keys.truncate(n);
    }
}

#[cfg(test)]
mod tests;
