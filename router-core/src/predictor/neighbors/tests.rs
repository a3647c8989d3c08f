use super::*;

/// Four points in two clusters, on a circle at 0°, 90°, 180° and 270°; two arms.
fn four() -> NeighborParts {
    NeighborParts {
        first: 1,
        dimensions: 2,
        k: 2,
        power: 1,
        shrinkage: 0.0,
        probes: 2,
        centers: vec![90, 90, -90, -90],
        starts: vec![0, 2, 4],
        points: vec![127, 0, 0, 127, -127, 0, 0, -127],
        adds: vec![10, 0, 0, 20, -10, 0, 0, -20],
        scales: vec![0.1, 0.01],
    }
}

fn added(parts: &NeighborParts, units: &[f32]) -> Vec<f32> {
    let mut outputs = vec![0.0; 2];
    parts.add_outputs(units, &mut NeighborScratch::default(), &mut outputs);
    outputs
}

#[test]
fn arms_get_the_weighted_mean_of_their_neighbors() {
    assert_eq!(four().check(3, 2), Ok(()));
    // At 45° two points are as near as each other, whatever the length.
    for length in [0.1, 0.9] {
        let said = added(&four(), &[7.0, length, length]);
        assert!((said[0] - 0.5).abs() < 1e-6 && (said[1] - 0.1).abs() < 1e-6, "{said:?}");
    }
    // At arctan(3/4) cosines are 0.8 and 0.6.
    let said = added(&NeighborParts { power: 2, ..four() }, &[0.0, 0.4, 0.3]);
    let share = 0.64 / (0.64 + 0.36);
    assert!((said[0] - share).abs() < 0.01 && (said[1] - 0.2 * (1.0 - share)).abs() < 0.01);
    // A point that adds nothing, as near as a perfect match.
    let said = added(&NeighborParts { k: 1, shrinkage: 1.0, ..four() }, &[0.0, 1.0, 0.0]);
    assert!((said[0] - 0.5).abs() < 1e-6, "{said:?}");
}

#[test]
fn opposite_points_and_nothing_add_nothing() {
    let said = added(&NeighborParts { k: 4, ..four() }, &[0.0, 1.0, 0.0]);
    assert!((said[0] - 1.0).abs() < 1e-6 && said[1].abs() < 1e-6, "{said:?}");
    assert_eq!(added(&four(), &[0.0, 0.0, 0.0]), [0.0, 0.0]);
}

#[test]
fn only_the_nearest_clusters_are_searched() {
    let parts = NeighborParts { k: 4, probes: 1, ..four() };
    let mut scratch = NeighborScratch::default();
    let mut found: Vec<usize> = parts.nearest(&[0.0, -1.0, -0.1], &mut scratch).collect();
    found.sort_unstable();
    assert_eq!(found, [2, 3]);
    let parts = NeighborParts { probes: 9, ..parts };
    assert_eq!(parts.nearest(&[0.0, -1.0, -0.1], &mut scratch).count(), 4);
}

#[test]
fn ties_go_to_the_first_point() {
    let parts = NeighborParts { k: 1, ..four() };
    let mut scratch = NeighborScratch::default();
    let found: Vec<usize> = parts.nearest(&[0.0, 0.5, 0.5], &mut scratch).collect();
    assert_eq!(found, [0]);
    for (similarity, place) in [(-16_129, 3), (0, 0), (16_129, 70_000)] {
        assert_eq!(unpack(pack(similarity, place)), (similarity, place));
    }
}

#[test]
fn products_of_bytes_are_exact() {
    let a: Vec<i8> = (0..21).map(|i| if i % 2 == 0 { -127 } else { 127 }).collect();
    let b: Vec<i8> = (0..21).map(|i| i * 6).collect();
    let expected: i32 = a.iter().zip(&b).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
    assert_eq!(dot(&a, &b), expected);
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let refused = |parts: NeighborParts| parts.check(3, 2).unwrap_err().to_string();
    assert!(refused(NeighborParts { first: 2, ..four() }).contains("hidden units of neighbors"));
    assert!(refused(NeighborParts { starts: vec![0, 3, 2], ..four() }).contains("starts"));
    assert!(refused(NeighborParts { adds: vec![0; 7], ..four() }).contains("adds must have 8"));
    assert!(refused(NeighborParts { k: 0, ..four() }).contains("k must be at least 1"));
    assert!(refused(NeighborParts { scales: vec![0.1, f32::NAN], ..four() }).contains("finite"));
}

#[test]
fn a_search_reuses_its_buffers() {
    let parts = crate::testing::random_neighbors(3, 8, 400, 1);
    let (mut scratch, mut outputs) = (NeighborScratch::default(), vec![0.0; 3]);
    let capacities = |scratch: &NeighborScratch| {
        let NeighborScratch { point, clusters, found, sums } = scratch;
        [point.capacity(), clusters.capacity(), found.capacity(), sums.capacity()]
    };
    let mut run = |i: i8| {
        let units: Vec<f32> = (0..8).map(|d| f32::from(i * d % 7) - 3.0).collect();
        parts.add_outputs(&units, &mut scratch, &mut outputs);
        capacities(&scratch)
    };
    // The first search of the largest clusters, then others.
    let most = (1..9)
        .map(&mut run)
        .fold([0; 4], |most, now| std::array::from_fn(|i| usize::max(most[i], now[i])));
    for i in 1..9 {
        assert_eq!(run(i), most);
    }
}
