//! A scenario with a mistake is refused with its key and line, whatever the mistake: never a wrong number.

use poolsim::scenario::{Fidelity, Scenario, Strategy};
use std::path::Path;

const GOOD: &str = r#"name = "good"
fidelity = "share"
seed = 3
replications = 4
blocks = 10
checkpoints = 5

[network]
interval_seconds = 600
subsidy = "312500000"
shares_per_block = 100

[fees]
process = "independent"
mean = 0.1
variation = 0.5

[[pool]]
name = "p"
reserve_blocks = 5

[[miners]]
name = "m"
part = 0.1
count = 3
spread = "lognormal"
sigma = 1.0

[[miners]]
name = "h"
part = 0.01

[miners.strategy]
kind = "hopper"

[[scheme]]
kind = "prop"
fee_bps = 100

[[scheme]]
name = "two blocks"
kind = "pplns"
window = "2"
"#;

fn mistakes(text: &str) -> Vec<(String, usize, String)> {
    match Scenario::parse(text, Path::new("")) {
        Ok(_) => Vec::new(),
        Err(error) => error.mistakes.into_iter().map(|m| (m.key, m.line, m.text)).collect(),
    }
}

#[test]
fn a_good_scenario_is_read_whole() {
    let scenario = Scenario::parse(GOOD, Path::new("")).unwrap();
    assert_eq!((scenario.name.as_str(), scenario.seed, scenario.fidelity), ("good", 3, Fidelity::Share));
    assert_eq!(scenario.text, GOOD);
    assert_eq!(scenario.miners[0].parts.len(), 3);
    assert!((scenario.miners[0].part() - 0.1).abs() < 1e-12);
    assert!(matches!(&scenario.miners[1].strategy, Strategy::Hopper { pools, .. } if pools == &[0]));
    assert_eq!(scenario.schemes[0].name, "PROP");
    assert_eq!(scenario.schemes[1].name, "two blocks");
    assert!((scenario.horizon_seconds - 10.0 / 0.11 * 600.0).abs() < 1e-6);
    assert!((scenario.horizon_blocks() - 10.0).abs() < 1e-9);
}

/// Each line of the good scenario, replaced by a wrong one: the mistake is told at that line, by that key.
#[test]
fn every_mistake_has_its_key_and_its_line() {
    for (right, wrong, key) in [
        ("name = \"good\"", "name = \"\"", "name"),
        ("fidelity = \"share\"", "fidelity = \"shares\"", "fidelity"),
        ("seed = 3", "sead = 3", "sead"),
        ("seed = 3", "seed = -3", "seed"),
        ("replications = 4", "replications = 0", "replications"),
        ("blocks = 10", "blocks = 0", "blocks"),
        ("blocks = 10", "blocks = \"ten\"", "blocks"),
        ("blocks = 10", "blocks = 1e12", "blocks"),
        ("blocks = 10", "blocks = nan", "blocks"),
        ("checkpoints = 5", "checkpoints = 5000", "checkpoints"),
        ("interval_seconds = 600", "interval_seconds = inf", "network.interval_seconds"),
        ("subsidy = \"312500000\"", "subsidy = \"3.125\"", "network.subsidy"),
        ("subsidy = \"312500000\"", "subsidy = \"0\"", "network.subsidy"),
        ("shares_per_block = 100", "shares_per_blok = 100", "network.shares_per_blok"),
        ("process = \"independent\"", "process = \"normal\"", "fees.process"),
        ("mean = 0.1", "mean = -0.1", "fees.mean"),
        ("reserve_blocks = 5", "reserve_blocks = -5", "pool[0].reserve_blocks"),
        ("reserve_blocks = 5", "scheme = \"three blocks\"", "pool[0].scheme"),
        ("part = 0.1", "part = 1.1", "miners[0].part"),
        ("count = 3", "count = 0", "miners[0].count"),
        ("spread = \"lognormal\"", "spread = \"normal\"", "miners[0].spread"),
        ("sigma = 1.0", "sigma = 0.0", "miners[0].sigma"),
        ("sigma = 1.0", "alpha = 1.0", "miners[0].alpha"),
        ("part = 0.01", "part = 0.01\npool = \"q\"", "miners[1].pool"),
        ("kind = \"hopper\"", "kind = \"hoper\"", "miners[1].strategy.kind"),
        ("kind = \"hopper\"", "kind = \"hopper\"\nthreshold = 0", "miners[1].strategy.threshold"),
        ("kind = \"hopper\"", "kind = \"hopper\"\nfallback = \"elsewhere\"", "miners[1].strategy.fallback"),
        ("kind = \"prop\"", "kind = \"pro\"", "scheme[0].kind"),
        ("fee_bps = 100", "fee_bps = 10001", "scheme[0].fee_bps"),
        ("fee_bps = 100", "window = \"2\"", "scheme[0].window"),
        ("window = \"2\"", "window = \"0\"", "scheme[1].window"),
        ("window = \"2\"", "window = \"two\"", "scheme[1].window"),
        ("window = \"2\"", "window = \"2\"\nrounding = \"half-up\"", "scheme[1].rounding"),
    ] {
        assert!(GOOD.contains(right), "{right}");
        let text = GOOD.replacen(right, wrong, 1);
        let found = mistakes(&text);
        let last = wrong.lines().last().unwrap();
        let line = text.lines().position(|line| line == last).unwrap() + 1;
        assert!(
            found.iter().any(|(k, l, _)| k == key && *l == line),
            "{wrong}: wanted {key} at {line}, found {found:?}"
        );
    }
}

#[test]
fn what_is_missing_is_named() {
    for (line, key) in [
        ("fidelity = \"share\"\n", "fidelity"),
        ("blocks = 10\n", "blocks"),
        ("interval_seconds = 600\n", "network.interval_seconds"),
        ("subsidy = \"312500000\"\n", "network.subsidy"),
        ("sigma = 1.0\n", "miners[0].sigma"),
        ("part = 0.1\n", "miners[0].part"),
        ("window = \"2\"\n", "scheme[1].window"),
        ("kind = \"prop\"\n", "scheme[0].kind"),
        ("mean = 0.1\n", "fees.mean"),
    ] {
        let found = mistakes(&GOOD.replacen(line, "", 1));
        assert!(found.iter().any(|(k, _, text)| k == key && text.contains("missing")), "{key}: {found:?}");
    }
    for table in ["[[pool]]", "[[miners]]", "[[scheme]]"] {
        let key = table.trim_matches(['[', ']']);
        let start = GOOD.find(table).unwrap();
        let found = mistakes(&GOOD[..start]);
        assert!(found.iter().any(|(k, ..)| k == key), "{key}: {found:?}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text = GOOD.replace("seed = 3", "sead = 3").replace("count = 3", "count = -3").replace("0.5", "-0.5");
    let found = mistakes(&text);
    let keys: Vec<&str> = found.iter().map(|(key, ..)| key.as_str()).collect();
    assert_eq!(keys, ["sead", "fees.variation", "miners[0].count"]);
    let error = Scenario::parse(&text, Path::new("")).unwrap_err().to_string();
    assert!(error.contains("line 3: sead: is not a known key (did you mean `seed`?)"), "{error}");
}

#[test]
fn keys_that_contradict_each_other_are_mistakes() {
    for (right, wrong, key) in [
        ("part = 0.01", "part = 0.95", "miners"),
        ("blocks = 10", "blocks = 10\ndays = 3", "blocks"),
        ("kind = \"hopper\"", "kind = \"chain-hop\"", "miners"),
        ("kind = \"hopper\"", "kind = \"retarget-hop\"\navoid_blocks = 3", "miners"),
        ("kind = \"hopper\"", "kind = \"reward-exit\"\nbefore_seconds = 3", "miners"),
        ("kind = \"hopper\"", "kind = \"youngest\"", "miners[1].strategy.pools"),
        ("name = \"two blocks\"", "name = \"PROP\"", "scheme[1].name"),
        ("name = \"h\"", "name = \"m\"", "miners[1].name"),
        ("kind = \"prop\"", "kind = \"solo\"\nfinder_bonus_bps = 5", "scheme[0].kind"),
        ("checkpoints = 5", "[game]\n", "game"),
        (
            "replications = 4",
            "replications = 5\n[variance]\nantithetic = true\n[ignored]",
            "variance.antithetic",
        ),
    ] {
        let found = mistakes(&GOOD.replacen(right, wrong, 1));
        assert!(found.iter().any(|(k, ..)| k == key), "{wrong}: {found:?}");
    }
}

#[test]
fn files_are_read_from_the_folder_and_their_mistakes_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rates.csv"), "hashrate,who\n3,a\n1,b\n").unwrap();
    std::fs::write(folder.path().join("bad.csv"), "1\nx\n").unwrap();
    let text = GOOD.replace("spread = \"lognormal\"\nsigma = 1.0", "spread = \"csv\"\nfile = \"rates.csv\"");
    let scenario = Scenario::parse(&text, folder.path()).unwrap();
    let parts = &scenario.miners[0].parts;
    assert_eq!(parts.len(), 2);
    assert!((parts[0] - 0.075).abs() < 1e-12 && (parts[1] - 0.025).abs() < 1e-12);
    for (file, says) in [("bad.csv", "line 2"), ("none.csv", "cannot read")] {
        let error = Scenario::parse(&text.replace("rates.csv", file), folder.path()).unwrap_err();
        let mistake = error.mistakes.iter().find(|m| m.key == "miners[0].file").unwrap();
        assert!(mistake.text.contains(says), "{mistake}");
    }
}

#[test]
fn text_that_is_no_toml_is_a_mistake_with_a_line() {
    let found = mistakes("name = \"x\"\nfidelity = = 3\n");
    assert!(found.iter().any(|(_, line, _)| *line == 2), "{found:?}");
    assert!(!mistakes("").is_empty());
}
