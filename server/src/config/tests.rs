//! Order of the sources, and what is refused with which words.

use super::*;

fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn load(text: &str, pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let file = Some((Path::new("conf/sextant.toml"), text));
    Config::from_sources(file, &environment(pairs), &Flags::default())
}

fn message(text: &str, pairs: &[(&str, &str)]) -> String {
    load(text, pairs).unwrap_err().to_string()
}

#[test]
fn an_empty_configuration_starts() {
    let config = Config::from_sources(None, &BTreeMap::new(), &Flags::default()).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8013");
    assert_eq!(config.routing.default_tier, Tier::Balanced);
    assert!(config.catalog.is_none() && config.upstreams.is_empty() && !config.log.store_prompts);
    assert_eq!(load("", &[]).unwrap().database, Path::new("conf/sextant.db"));
}

#[test]
fn file_then_environment_then_flags_win() {
    let text = "[server]\nlisten = \"0.0.0.0:1\"\nmax_body_bytes = 2048\n[routing]\nrouter = \"a\"";
    let pairs = environment(&[
        ("SEXTANT__SERVER__LISTEN", "0.0.0.0:2"),
        ("SEXTANT__LOG__STORE_PROMPTS", "true"),
        ("SEXTANT__UPSTREAMS__SIM__BASE_URL", "http://127.0.0.1:9/v1/"),
    ]);
    let flags = Flags { router: Some(PathBuf::from("b")), ..Flags::default() };
    let config = Config::from_sources(Some((Path::new("x.toml"), text)), &pairs, &flags).unwrap();
    assert_eq!(config.listen.to_string(), "0.0.0.0:2");
    assert_eq!(config.max_body_bytes, 2048);
    assert!(config.log.store_prompts);
    assert_eq!(config.upstreams["sim"].base_url, "http://127.0.0.1:9/v1");
    assert_eq!(config.routing.router, Some(PathBuf::from("b")));
}

#[test]
fn an_unknown_key_is_named_with_its_file() {
    let file = message("[server]\nlisen = 1", &[]);
    assert!(file.starts_with("conf/sextant.toml: unknown field `lisen`"), "{file}");
    assert!(file.contains("server"), "{file}");
    let variable = message("", &[("SEXTANT__LOG__STORE", "true")]);
    assert!(variable.starts_with("environment (SEXTANT__LOG__STORE): unknown field"), "{variable}");
    let model = message("[[models]]\nid = \"a\"\nprice = 1", &[]);
    assert!(model.contains("unknown field `price`"), "{model}");
    let syntax = message("[server]\nlisten = ", &[]);
    assert!(syntax.starts_with("conf/sextant.toml: line 2: "), "{syntax}");
}

#[test]
fn a_value_out_of_range_is_named_with_key_bound_and_value() {
    let upstream = "[upstreams.sim]\nbase_url = ";
    for (text, expected) in [
        (
            "[server]\nmax_body_bytes = 5".to_owned(),
            "server.max_body_bytes must be at least 1024 and at most 1073741824, got 5",
        ),
        (
            "[server]\nlisten = \"here\"".to_owned(),
            "server.listen must be an address and a port such as 127.0.0.1:8013, got here",
        ),
        (
            "[timeouts]\nidle_ms = 0".to_owned(),
            "timeouts.idle_ms must be at least 1 and at most 86400000, got 0",
        ),
        (
            "[routing]\ndefault_tier = \"best\"".to_owned(),
            "routing.default_tier must be one of cost, balanced, quality, speed, got best",
        ),
        (
            "[routing]\nfallback_model = \"b\"\n[[models]]\nid = \"a\"".to_owned(),
            "routing.fallback_model must be a model of the catalog, got b",
        ),
        (
            "[[models]]\nid = \"a\"\nupstream = \"x\"".to_owned(),
            "models.a.upstream must be one of the upstreams [], got x",
        ),
        (
            format!("{upstream}\"ftp://x\""),
            "upstreams.sim.base_url must be a URL that begins with http:// or https://, got ftp://x",
        ),
        (
            format!("{upstream}\"http://a b\""),
            "upstreams.sim.base_url must be a URL that begins with http:// or https://, got http://a b",
        ),
        (
            "[[models]]\nid = \"auto:cost\"".to_owned(),
            "models.id must be another name than auto and auto:TIER, which ask for routing, got auto:cost",
        ),
        (
            format!("{upstream}\"http://x\"\napi_key_env = \"NOT_SET\""),
            "upstreams.sim.api_key_env must be the name of an environment variable that holds a key, got NOT_SET, which is not set",
        ),
    ] {
        assert_eq!(message(&text, &[]), format!("conf/sextant.toml: {expected}"));
    }
}

#[test]
fn a_key_comes_from_the_environment_and_never_prints() {
    let text = "[upstreams.sim]\nbase_url = \"http://x\"\napi_key_env = \"SIM_KEY\"";
    let config = load(text, &[("SIM_KEY", "sk-hidden")]).unwrap();
    assert_eq!(config.upstreams["sim"].api_key.as_ref().unwrap().expose(), "sk-hidden");
    assert!(!format!("{config:?}").contains("sk-hidden"));
}

#[test]
fn the_environment_completes_a_file_and_is_blamed_for_its_own_faults_only() {
    let text = "[upstreams.sim]\nidle_ms = 7\n[[models]]\nid = \"a\"\nupstream = \"other\"";
    let pairs = [
        ("SEXTANT__UPSTREAMS__SIM__BASE_URL", "http://127.0.0.1:9"),
        ("SEXTANT__UPSTREAMS__OTHER__BASE_URL", "http://127.0.0.1:8"),
    ];
    let config = load(text, &pairs).unwrap();
    assert_eq!(config.upstreams["sim"].timeouts.idle, Duration::from_millis(7));
    let file = message("[server]\nmax_body_bytes = 5", &pairs);
    assert!(file.starts_with("conf/sextant.toml: server.max_body_bytes"), "{file}");
    let variable = message(text, &[pairs[0], ("SEXTANT__SERVER__MAX_BODY_BYTES", "5")]);
    assert!(variable.starts_with("environment (SEXTANT__SERVER__MAX_BODY_BYTES, "), "{variable}");
}

#[test]
fn a_command_that_asks_no_upstream_needs_no_key() {
    let text = "[upstreams.sim]\nbase_url = \"http://x\"\napi_key_env = \"NOT_SET\"";
    let file = Some((Path::new("sextant.toml"), text));
    let flags = Flags { without_keys: true, ..Flags::default() };
    let config = Config::from_sources(file, &BTreeMap::new(), &flags).unwrap();
    assert!(config.upstreams["sim"].api_key.is_none());
}
