//! The program from end to end: every scenario that comes along, small; a log; a check of the forms; bad input.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

use pool_core::id::{BlockId, CoinId, InstanceId, MinerId, Seq, ShareSeq, Worker, WorkerName};
use pool_core::share::{Evidence, LoggedShare, ShareRecord};
use pool_core::time::Timestamp;
use pool_core::units::{Amount, Units, Work};
use pool_rewards::fold::Scheduled;
use pool_rewards::proof::export::Line;
use pool_rewards::scheme::{Rule, SchemeParams, Underfilled, WindowEdge};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A result's files by their path in it.
type Files = BTreeMap<PathBuf, Vec<u8>>;

fn poolsim(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_poolsim")).args(arguments).output().expect("poolsim starts")
}

/// The program's output where it must succeed.
#[track_caller]
fn done(arguments: &[&str]) -> String {
    let output = poolsim(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    assert_eq!(errors, "", "nothing is drawn where there is no terminal");
    String::from_utf8(output.stdout).unwrap()
}

/// What it says where it must refuse, with this exit status.
#[track_caller]
fn refused(arguments: &[&str], status: i32) -> String {
    let output = poolsim(arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
    assert_eq!(output.stdout, b"", "no number comes with an error");
    said
}

fn tree(folder: &Path) -> Files {
    let mut files = Files::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(folder).unwrap().to_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn scenario(name: &str) -> String {
    format!("{}/scenarios/{name}.toml", env!("CARGO_MANIFEST_DIR"))
}

/// Runs a scenario small on one and on two threads: the same bytes, a page that needs nothing else, tables of one
/// width. Returns the files.
fn small(name: &str, replications: &str) -> Files {
    let folder = tempfile::tempdir().unwrap();
    let run = |threads: &str| {
        let out = folder.path().join(threads);
        let (path, to) = (scenario(name), out.to_str().unwrap());
        let said = done(&["run", &path, "--out", to, "--threads", threads, "--replications", replications]);
        assert!(said.contains("look at report.html first"), "{said}");
        tree(&out)
    };
    let (one, two) = (run("1"), run("2"));
    assert_eq!(one.keys().collect::<Vec<_>>(), two.keys().collect::<Vec<_>>());
    for (path, bytes) in &one {
        assert!(two[path] == *bytes, "{} differs between one and two threads", path.display());
        let text = std::str::from_utf8(bytes).unwrap();
        match path.extension().unwrap().to_str().unwrap() {
            "csv" => table(path, text),
            "svg" => assert!(text.starts_with("<svg") && text.ends_with("</svg>\n") && !text.contains("NaN")),
            "html" => page(text),
            "json" => {
                let summary: serde_json::Value = serde_json::from_str(text).unwrap();
                assert_eq!(summary["schema"], 1);
                assert_eq!(summary["crate_version"], env!("CARGO_PKG_VERSION"));
                let scenario = summary["scenario"].as_str().unwrap();
                assert!(scenario.contains(&format!("replications = {replications}")));
                assert_eq!(summary["replications"]["done"].to_string(), replications);
            }
            other => panic!("{other}"),
        }
    }
    one
}

/// Every line of a table has as many fields as its first, and each number is one.
fn table(path: &Path, text: &str) {
    let fields = |line: &str| {
        let mut quoted = false;
        let commas = line.chars().filter(|letter| {
            quoted ^= *letter == '"';
            *letter == ',' && !quoted
        });
        1 + commas.count()
    };
    let mut lines = text.lines();
    let width = fields(lines.next().expect("a heading"));
    for line in lines {
        assert_eq!(fields(line), width, "{}: {line}", path.display());
        assert!(!line.contains("NaN") && !line.contains(",inf"), "{}: {line}", path.display());
    }
}

fn page(text: &str) {
    assert!(text.starts_with("<!doctype html>") && text.contains("</html>"));
    let text = text.replace("http://www.w3.org/2000/svg", "");
    for outside in ["http:", "https:", " src=", " href=", "@import", "<link", "NaN"] {
        assert!(!text.contains(outside), "the page needs {outside}");
    }
}

/// The rows of a table that have these values in these columns. No field here is quoted.
fn rows<'a>(files: &'a Files, name: &str, wanted: &[(&str, &str)]) -> Vec<Vec<&'a str>> {
    let mut lines = std::str::from_utf8(&files[Path::new(name)]).unwrap().lines();
    let heading: Vec<&str> = lines.next().unwrap().split(',').collect();
    let place = |column: &str| heading.iter().position(|name| *name == column).unwrap();
    lines
        .map(|line| line.split(',').collect::<Vec<_>>())
        .filter(|row| row.len() == heading.len())
        .filter(|row| wanted.iter().all(|(column, value)| row[place(column)] == *value))
        .collect()
}

/// A group's income over work with its interval, from `incomes.csv`.
fn per_work(files: &Files, scheme: &str, group: &str) -> (f64, f64, f64) {
    let value = |statistic: &str| -> f64 {
        let wanted = [("scheme", scheme), ("level", "group"), ("name", group), ("statistic", statistic)];
        let found = rows(files, "csv/incomes.csv", &wanted);
        assert_eq!(found.len(), 1, "{scheme} {group} {statistic}");
        found[0].last().unwrap().parse().unwrap()
    };
    (value("per_work"), value("per_work_low"), value("per_work_high"))
}

#[test]
fn hopping_is_what_theory_says() {
    let files = small("hopping", "24");
    // Within the whole width of the intervals of 24 runs: twice what holds nineteen times of twenty.
    let check = |scheme: &str, group: &str, theory: f64| {
        let (value, low, high) = per_work(&files, scheme, group);
        assert!(
            (value - theory).abs() < (high - low).max(0.004),
            "{scheme}, {group}: {value} is not {theory}"
        );
    };
    check("PROP", "one hopper", poolsim::theory::hopping::hopper_total());
    check("PROP", "loyal (raided)", poolsim::theory::hopping::loyal_left(1.0));
    check("PPLNS 8", "one hopper", 1.0);
    check("PPLNS 2", "many hoppers", 1.0);
    assert!(files.contains_key(Path::new("plots/value-by-age.svg")));
}

#[test]
fn an_hour_in_reserve_on_kaspa_is_more_than_a_day_on_nexa() {
    let ruined = |files: &Files, scheme: &str| -> f64 {
        let rows = rows(files, "csv/ruin.csv", &[("scheme", scheme)]);
        rows.last().unwrap()[4].parse().unwrap()
    };
    assert!(ruined(&small("fpps-kaspa", "2"), "FPPS 1 %") < 1e-12);
    let nexa = small("fpps-nexa", "60");
    let seen = ruined(&nexa, "FPPS 1 %");
    // Ever: 23.5 %; the standard error of 60 runs is 5.5 %, and not every ruin comes within 90 days.
    assert!((0.03..0.38).contains(&seen), "{seen}");
    assert!(ruined(&nexa, "FPPS 3 %") < seen);
}

#[test]
fn a_selective_miner_gains_with_a_round_per_chain_only() {
    let files = small("alephium-chains", "2");
    let of = |scheme: &str, group: &str| per_work(&files, scheme, group).0;
    assert!(of("PROP", "selective 1 %") > 2.0);
    assert!(of("PROP", "others beside 50 %") < 0.75);
    assert!((of("PPLNS 8", "selective 50 %") - 1.0).abs() < 0.2);
    assert!((of("PROP", "everyone in one log") - 1.0).abs() < 0.2);
}

#[test]
fn the_full_example_runs() {
    small("full", "4");
}

#[test]
fn another_seed_is_another_result_and_stands_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let run = |seed: &str| {
        let out = folder.path().join(seed);
        done(&["run", &scenario("hopping"), "-o", out.to_str().unwrap(), "-r", "2", "-s", seed]);
        std::fs::read_to_string(out.join("summary.json")).unwrap()
    };
    let (five, six) = (run("5"), run("6"));
    assert_ne!(five, six);
    let summary: serde_json::Value = serde_json::from_str(&five).unwrap();
    assert_eq!(summary["seed"], 5);
    // The text in the result is the whole scenario: it gives the result again.
    let again = folder.path().join("again.toml");
    std::fs::write(&again, summary["scenario"].as_str().unwrap()).unwrap();
    let out = folder.path().join("again");
    done(&["run", again.to_str().unwrap(), "-o", out.to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(out.join("summary.json")).unwrap(), five);
}

#[test]
fn wrong_scenarios_are_told_with_key_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong.toml");
    let text = std::fs::read_to_string(scenario("hopping")).unwrap();
    let wrong = text.replace("window = \"8\"", "windw = \"8\"").replace("part = 0.0001", "part = 1.5");
    std::fs::write(&path, wrong).unwrap();
    let out = folder.path().join("out");
    let said = refused(&["run", path.to_str().unwrap(), "-o", out.to_str().unwrap()], 2);
    assert!(said.contains("windw") && said.contains("did you mean `window`?"), "{said}");
    assert!(said.contains("miners[1].part") && said.contains("line "), "{said}");
    assert!(!out.exists(), "nothing is written for a scenario that cannot be run");
    let said = refused(&["run", "/nowhere.toml", "-o", out.to_str().unwrap()], 2);
    assert!(said.starts_with("error: cannot read /nowhere.toml"), "{said}");
    refused(&["run"], 2);
}

#[test]
fn forms_are_checked_and_equal_seeds_say_the_same() {
    let said = done(&["validate", "--effort", "0.01", "--seed", "3"]);
    for word in ["theory", "std. error", "hopper among 16 pools", "engine: PPLNS 8, variance", "e^(-zR)"] {
        assert!(said.contains(word), "{word} is not in {said}");
    }
    assert!(!said.contains("does not hold"), "{said}");
    assert_eq!(said, done(&["validate", "--effort", "0.01", "--seed", "3"]));
    refused(&["validate", "--effort", "none"], 2);
}

#[test]
fn examples_are_printed_and_listed() {
    let listed = done(&["example"]);
    for line in listed.lines() {
        let name = line.split_whitespace().next().unwrap();
        assert!(done(&["example", name]).contains("[[scheme]]"), "{name}");
    }
    assert_eq!(listed.lines().count(), 5);
    assert!(refused(&["example", "nothing"], 2).contains("there are: full, hopping"));
}

/// An export of a pool of three miners: 400 shares, a block every 40.
fn export() -> Vec<Line> {
    let block = |n: u64| {
        let mut id = [7; 32];
        id[..8].copy_from_slice(&n.to_be_bytes());
        BlockId::new(id)
    };
    let rule = Rule::Pplns {
        window: Units::from_ratio(2, 1).unwrap(),
        underfilled: Underfilled::Renormalise,
        edge: WindowEdge::Interval,
    };
    let schedule = vec![Scheduled::new(ShareSeq::new(1), SchemeParams::new(rule))];
    let mut lines = vec![Line::Pool { coin: CoinId::new("kaspa").unwrap(), schedule }];
    for seq in 1..=400u64 {
        let solved = seq.is_multiple_of(40).then(|| block(seq / 40));
        let miner = ["kaspa:ann", "kaspa:bob", "kaspa:cy"][(seq % 7 % 3) as usize];
        lines.push(Line::Share(LoggedShare {
            seq: ShareSeq::new(seq),
            record: ShareRecord {
                instance: InstanceId::new(1),
                at: Timestamp::from_millis(1_790_000_000_000 + seq * 500),
                worker: Worker { miner: MinerId::new(miner).unwrap(), name: WorkerName::clean("rig") },
                work: Work::new(1 << 30).unwrap(),
                units: Units::from_ratio(1, 40).unwrap(),
                chain: 0,
                evidence: Evidence::new(&seq.to_be_bytes()).unwrap(),
                block: solved,
            },
        }));
        if let Some(block) = solved {
            lines.push(Line::Conclusion { number: Seq::new(seq / 40), block, value: Amount::new(50_000) });
        }
    }
    lines
}

fn written(folder: &Path, lines: &[Line]) -> String {
    let path = folder.join("log.jsonl");
    let text: String = lines.iter().map(|line| serde_json::to_string(line).unwrap() + "\n").collect();
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_real_log_goes_through_all_schemes() {
    let folder = tempfile::tempdir().unwrap();
    let log = written(folder.path(), &export());
    let out = folder.path().join("out");
    let said = done(&["replay", &log, "--out", out.to_str().unwrap()]);
    for word in
        ["as it was (PPLNS)", "SOLO", "PROP", "DGM 1% 90%", "FPPS", "kaspa:ann", "(operator)", "400 shares"]
    {
        assert!(said.contains(word), "{word} is not in {said}");
    }
    let files = tree(&out);
    table(Path::new("replay.csv"), std::str::from_utf8(&files[Path::new("replay.csv")]).unwrap());
    page(std::str::from_utf8(&files[Path::new("replay.html")]).unwrap());
    // Under PROP everything is paid but what is not a whole unit yet.
    let credits = rows(&files, "replay.csv", &[("scheme", "PROP")]);
    let paid = credits.iter().filter(|row| !row[1].is_empty()).map(|row| row[3].parse::<u64>().unwrap());
    let paid: u64 = paid.sum();
    assert!((500_000 - 3..=500_000).contains(&paid), "{paid}");
    // The schemes of a scenario instead.
    let said = done(&["replay", &log, "--scenario", &scenario("hopping")]);
    assert!(
        said.contains("exponential 4") && said.contains("as it was") && !said.contains("TIDES"),
        "{said}"
    );
}

#[test]
fn wrong_logs_are_told_with_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let told = |change: &dyn Fn(&mut Vec<Line>)| {
        let mut lines = export();
        change(&mut lines);
        refused(&["replay", &written(folder.path(), &lines)], 2)
    };
    let said = told(&|lines| {
        lines.remove(9);
    });
    assert!(said.contains("line 10: share 10 cannot follow share 8"), "{said}");
    let said = told(&|lines| lines.insert(5, lines[4].clone()));
    assert!(said.contains("line 6: share 4 comes again after share 4"), "{said}");
    let said = told(&|lines| lines.swap(40, 41));
    assert!(said.contains("line 41: block") && said.contains("no share before solved it"), "{said}");
    let said = told(&|lines| {
        if let Line::Share(share) = &mut lines[3] {
            share.record.units = Units::ZERO;
        }
    });
    assert!(said.contains("line 4: share 3 stands for no part of a block: its difficulty is zero"), "{said}");
    let said = told(&|lines| {
        if let Line::Share(share) = &mut lines[3] {
            share.record.work = Work::new(u128::MAX).unwrap();
        }
    });
    assert!(said.contains("line 4: share 3 makes the network's difficulty"), "{said}");
    let said = refused(&["replay", "/nowhere.jsonl"], 2);
    assert!(said.contains("cannot read /nowhere.jsonl"), "{said}");
}
