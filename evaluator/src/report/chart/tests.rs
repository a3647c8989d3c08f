use super::*;
use crate::report::ModelReport;

/// Two models and a sweep between them, at these dollars per request.
fn report(costs: [f64; 2]) -> Report {
    let points = [(costs[0], 0.5), (costs[1], 0.9)];
    let at =
        |(cost, quality)| CurvePoint { lambda: None, point: Point { cost, quality }, band: None };
    let policy = |name: &str| PolicyReport {
        name: name.to_owned(),
        curve: points.map(at).to_vec(),
        ..PolicyReport::default()
    };
    let model = |(cost, quality)| ModelReport {
        id: format!("at {cost}"),
        quality,
        cost: Some(cost),
        ..ModelReport::default()
    };
    Report {
        models: points.map(model).to_vec(),
        cheapest: Some("first".to_owned()),
        routers: vec![policy("router")],
        baselines: vec![policy("zero_router")],
        ..Report::default()
    }
}

#[test]
fn a_cost_of_zero_lies_on_the_left_edge_and_nothing_but_zeros_is_not_drawn() {
    assert_eq!(frontier(&report([0.0, 0.0])).unwrap(), None);
    let svg = frontier(&report([0.0, 0.001])).unwrap().unwrap();
    let numbers = svg.split(['"', ',', ' ']).filter_map(|text| text.parse::<f64>().ok());
    // The canvas is 980 wide; a line may be drawn around its end.
    assert!(numbers.clone().count() > 100);
    assert!(numbers.clone().all(|x| (-2.0..=982.0).contains(&x)), "{svg}");
}
