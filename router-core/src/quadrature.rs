//! The normal distribution, and integrals of smooth functions.

use std::f64::consts::{FRAC_1_SQRT_2, PI, SQRT_2};
use std::sync::LazyLock;

/// Nodes of one interval.
const N_NODES: usize = 12;

/// Nodes in `(−1, 1)` and their weights.
static LEGENDRE: LazyLock<[(f64, f64); N_NODES]> = LazyLock::new(|| {
    let n = N_NODES as f64;
    std::array::from_fn(|i| {
        // Newton's method on the Legendre polynomial, from Tricomi's guess.
        let mut x = (PI * (i as f64 + 0.75) / (n + 0.5)).cos();
        let mut slope = 1.0;
        for _ in 0..8 {
            let (mut before, mut now) = (1.0, x);
            for k in 2..=N_NODES {
                let k = k as f64;
                (before, now) = (now, ((2.0 * k - 1.0) * x * now - (k - 1.0) * before) / k);
            }
            slope = n * (x * now - before) / (x * x - 1.0);
            x -= now / slope;
        }
        (x, 2.0 / ((1.0 - x * x) * slope * slope))
    })
});

/// Points and weights of a Gauss–Legendre rule on `[from, to]`.
pub(crate) fn nodes(from: f64, to: f64) -> impl Iterator<Item = (f64, f64)> {
    let (middle, half) = (0.5 * (from + to), 0.5 * (to - from));
    LEGENDRE.iter().map(move |(x, weight)| (middle + half * x, half * weight))
}

/// Density of the standard normal distribution.
pub(crate) fn normal_pdf(z: f64) -> f64 {
    (-0.5 * z * z).exp() / (SQRT_2 * PI.sqrt())
}

/// Nodes of the table of [`normal`] per unit.
const PER_UNIT: f64 = 32.0;
/// Where the table ends: `Φ(−7) = 1.3e-12`.
const TABLE_END: f64 = 7.0;
const N_TABLE: usize = 449;

/// `(z, Φ(z), φ(z))`.
static TABLE: LazyLock<[(f64, f64, f64); N_TABLE]> = LazyLock::new(|| {
    std::array::from_fn(|i| {
        let z = i as f64 / PER_UNIT - TABLE_END;
        (z, normal_cdf(z), normal_pdf(z))
    })
});

/// `(Φ(z), φ(z))`, to 1e-10 and 1e-8, from Taylor's series at the nearest node of a table.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index into a table, above 0 and cut at its end"
)]
pub(crate) fn normal(z: f64) -> (f64, f64) {
    if z.abs() >= TABLE_END {
        return (if z > 0.0 { 1.0 } else { 0.0 }, 0.0);
    }
    let at = ((z + TABLE_END) * PER_UNIT + 0.5) as usize;
    let (node, cdf, pdf) = TABLE[at.min(N_TABLE - 1)];
    let step = z - node;
    // Derivatives of φ over φ: −z, z² − 1, 3z − z³.
    let (second, third) = (node * node - 1.0, node * (3.0 - node * node));
    let area = 1.0 + step * (-node / 2.0 + step * (second / 6.0 + step * third / 24.0));
    let height = 1.0 + step * (-node + step * (second / 2.0 + step * third / 6.0));
    (cdf + pdf * step * area, pdf * height)
}

/// Distribution function of the standard normal distribution.
pub(crate) fn normal_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z * FRAC_1_SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_distribution_has_its_tabulated_values() {
        let known = [
            (0.0, 0.5),
            (1.0, 0.841_344_746_068_542_9),
            (-1.959_963_984_540_054, 0.025),
            (3.5, 0.999_767_370_920_964_5),
            (-6.0, 9.865_876_450_376_98e-10),
        ];
        for (z, p) in known {
            assert!((normal_cdf(z) - p).abs() < 2e-15, "{z}: {}", normal_cdf(z));
        }
        assert!((normal_cdf(-10.0) / 7.619_853_024_160_526e-24 - 1.0).abs() < 1e-12);
        assert!((normal_pdf(FRAC_1_SQRT_2) - 0.310_696_560_376_927_8).abs() < 1e-15);
    }

    #[test]
    fn the_table_agrees_with_the_functions() {
        for i in -8000..=8000 {
            let z = f64::from(i) / 1000.0 + 1e-4;
            let (cdf, pdf) = normal(z);
            assert!((cdf - normal_cdf(z)).abs() < 1e-10, "{z}: {cdf}");
            assert!((pdf - normal_pdf(z)).abs() < 1e-8, "{z}: {pdf}");
        }
    }

    #[test]
    fn polynomials_of_low_degree_are_integrated_exactly() {
        for power in 0..20 {
            let sum: f64 = nodes(0.0, 2.0).map(|(x, weight)| weight * x.powi(power)).sum();
            let exact = 2f64.powi(power + 1) / f64::from(power + 1);
            assert!((sum / exact - 1.0).abs() < 1e-13, "{power}");
        }
    }
}
