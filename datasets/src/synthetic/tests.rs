use super::*;

fn world(seed: u64) -> World {
    World::new(WorldParams { seed, n_models: 4 }).unwrap()
}

#[test]
fn empirical_means_agree_with_the_truth() {
    let n_requests = 5_000;
    let (world, range) = (world(1), 0..n_requests);
    let table = world.table(range.clone());
    let truth = world.truth(range, 0.1).unwrap();
    for (arm, model) in table.models.iter().enumerate() {
        let single = &truth.single[model.as_str()];
        let rows = 0..table.requests.len();
        let quality: f64 = rows.clone().filter_map(|row| table.quality(row, arm)).sum();
        let cost: f64 = rows.filter_map(|row| table.cost(row, arm)).map(Usd::dollars).sum();
        // A Bernoulli mean deviates by at most √(¼ / n); a length by at most 1/4, whose uniform
        // deviation is 1/4 / √3 = 0.144 of the completion's cost, which is at most the cost, and
        // the costs themselves vary less than twofold around their mean.
        let n = n_requests as f64;
        assert!((quality / n - single.quality).abs() < 5.0 * (0.25 / n).sqrt(), "{model}");
        let std_error = 2.0 * 0.144 * single.cost_usd / n.sqrt();
        assert!((cost / n - single.cost_usd).abs() < 5.0 * std_error, "{model}");
    }
}

#[test]
fn the_best_policy_beats_every_model_and_saves_most_of_the_money() {
    let truth = world(2).truth(0..3_000, 0.2).unwrap();
    let best_single = &truth.single[&truth.best_single];
    assert_eq!(truth.best_single, "large");
    assert!(truth.best.quality > best_single.quality + 0.02, "{truth:?}");
    assert!(truth.at_95_retention.quality >= 0.95 * best_single.quality);
    assert!(truth.savings_at_95_retention > 0.7, "{truth:?}");
    assert!(truth.at_lambda.cost_usd < truth.best.cost_usd);
}

#[test]
fn the_cheap_model_is_enough_for_most_requests() {
    let world = world(3);
    let n_enough = (0..3_000)
        .filter(|index| {
            let expected = world.expected(&world.request(*index).prompt);
            let (nano, best) = (expected[3].0, expected.iter().map(|e| e.0).fold(0.0, f64::max));
            nano >= 0.9 * best
        })
        .count();
    assert_eq!(world.models()[3].id.as_str(), "nano");
    assert!((1_800..=2_250).contains(&n_enough), "{n_enough} of 3000");
}

#[test]
fn a_prompt_alone_gives_the_labels_back() {
    let world = world(4);
    let mut n_tasks = std::collections::BTreeSet::new();
    for index in 0..500 {
        let request = world.request(index);
        let latent = world.latent(&request.prompt);
        assert_eq!(request.task.as_deref(), Some(latent.task_name()));
        n_tasks.insert(latent.task);
    }
    assert_eq!(n_tasks.len(), 6);
}

#[test]
fn requests_of_other_seeds_and_ranges_are_others() {
    let (one, other) = (world(5), world(6));
    assert_eq!(one.request(7), one.request(7));
    let held_out = one.table(1_000..1_010);
    assert_eq!(held_out.requests[0], one.request(1_000));
    assert_ne!(held_out.requests[0].prompt, one.request(0).prompt);
    assert_ne!(other.request(7).prompt, one.request(7).prompt);
}

#[test]
fn an_answer_can_be_repeated_and_graded() {
    let world = world(7);
    let mut n_right = 0;
    for index in 0..200 {
        let prompt = world.request(index).prompt;
        let answer = world.answer(&prompt, "nano", 9).unwrap();
        assert_eq!(world.answer(&prompt, "nano", 9).as_ref(), Some(&answer));
        assert_eq!(Some(world.grade(&prompt, &answer.text)), answer.outcome.quality);
        let n_words = answer.text.split_whitespace().count() as u64;
        assert_eq!(Some(Tokens(n_words)), answer.outcome.completion_tokens);
        n_right += u32::from(answer.outcome.quality.unwrap().get() > 0.5);
    }
    assert!((1..200).contains(&n_right));
    assert!(world.answer("any", "nobody", 9).is_none());
    assert!(world.grade("any", "no result").get() < 0.5);
}

#[test]
fn the_catalog_prices_as_the_world_does() {
    let world = world(8);
    let prompt = world.request(0).prompt;
    let outcome = world.answer(&prompt, "base", 0).unwrap().outcome;
    let prices = world.catalog().get("base").unwrap().usd_per_million_tokens.unwrap();
    let usage = router_core::catalog::Usage {
        prompt: outcome.prompt_tokens.unwrap(),
        cached: Tokens(0),
        completion: outcome.completion_tokens.unwrap(),
    };
    assert_eq!(Some(prices.cost(usage)), outcome.cost);
}

#[test]
fn a_world_has_between_1_and_64_models() {
    let error = World::new(WorldParams { seed: 0, n_models: 0 }).unwrap_err().to_string();
    assert_eq!(error, "n_models must be at least 1 and at most 64, got 0");
    let large = World::new(WorldParams { seed: 0, n_models: 64 }).unwrap();
    assert_eq!(large.catalog().models().len(), 64);
    assert!(large.model("extra-60").is_some());
}
