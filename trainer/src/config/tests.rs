use super::*;

#[test]
fn later_overrides_win_and_the_rest_keeps_its_default() {
    let file = Overrides::from_toml("seed = 3\ntarget = \"cost-ratio=0.4\"").unwrap();
    let line = Overrides { seed: Some(5), ..Overrides::default() };
    let config = Config::resolve([file, line]).unwrap();
    assert_eq!((config.seed, config.target.as_str()), (5, "cost-ratio=0.4"));
    assert_eq!(config.iterations, Config::default().iterations);
}

#[test]
fn unknown_keys_and_values_out_of_range_are_named() {
    let error = Overrides::from_toml("sead = 3").unwrap_err().to_string();
    assert!(error.contains("unknown field `sead`"), "{error}");
    let refused = |toml: &str| {
        Config::resolve([Overrides::from_toml(toml).unwrap()]).unwrap_err().to_string()
    };
    assert_eq!(refused("exploration = 1.5"), "exploration must be in [0, 1], got 1.5");
    let said = refused("uncertainty_weight = -1");
    assert_eq!(said, "uncertainty_weight must be in [0, 10], got -1");
    assert_eq!(refused("iterations = 0"), "iterations must be in [1, 200], got 0");
    assert!(refused("penalties = [3, 1]").contains("increasing, got [3.0, 1.0]"));
    assert!(refused("target = \"best\"").starts_with("target: target must be"));
    assert_eq!(refused("bag.hidden = 65"), "bag.hidden must be in [1, 64], got 65");
    assert!(refused("cross_fit = \"1\"").starts_with("cross_fit: folds must be"));
}
