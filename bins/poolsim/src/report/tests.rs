use super::*;
use crate::outcome::*;

fn spread(mean: f64) -> Distribution {
    Distribution {
        count: 100,
        mean: Estimate { value: mean, low: mean * 0.99, high: mean * 1.01 },
        variance: mean * mean / 100.0,
        skew: 0.1,
        min: mean * 0.7,
        max: mean * 1.4,
        quantiles: [0.75, 0.8, 0.93, 1.0, 1.07, 1.2, 1.3].map(|part| part * mean),
    }
}

fn fan() -> Vec<FanPoint> {
    (0..=10)
        .map(|step| {
            let t = f64::from(step);
            FanPoint {
                seconds: t * 8_640.0,
                mean: 0.2 * t,
                quantiles: [-1.0, -0.4, 0.2, 0.9, 1.6].map(|part| part * t.sqrt()),
            }
        })
        .collect()
}

fn holder(name: &str, strategy: &str, worth: f64) -> AccountOutcome {
    AccountOutcome {
        name: name.into(),
        group: name.into(),
        strategy: strategy.into(),
        part: 0.05,
        work: spread(40.0),
        income: spread(40.0 * worth),
        outside: 1.0,
        per_work: Estimate { value: worth, low: worth - 0.01, high: worth + 0.01 },
        controlled: None,
        course: fan(),
        first_pay_seconds: spread(3_600.0),
        never_paid: 0.01,
        drawdown: spread(2.0),
        credits: 12.0,
    }
}

fn scheme(name: &str, kind: &str, hopper: f64) -> SchemeOutcome {
    let groups = vec![holder("loyal <&>", "honest", 1.0), holder("hop, \"per\"", "hopper", hopper)];
    SchemeOutcome {
        name: name.into(),
        kind: kind.into(),
        params: "{}".into(),
        fee: 0.01,
        accounts: groups.clone(),
        groups,
        operators: vec![OperatorOutcome {
            pool: "main".into(),
            reserve: 20.0,
            balance: spread(22.0),
            least: spread(15.0),
            course: fan(),
            ruin: (0..5)
                .map(|step| RuinPoint {
                    seconds: f64::from(step) * 21_600.0,
                    blocks: f64::from(step) * 10.0,
                    probability: Estimate { value: 0.02 * f64::from(step), low: 0.01, high: 0.1 },
                })
                .collect(),
            ultimate: Some(UltimateRuin {
                sampled: Estimate { value: 0.66, low: 0.65, high: 0.67 },
                by_horizon: Estimate { value: 0.08, low: 0.07, high: 0.09 },
                paths: 100,
                exact: 0.668,
                diffusion: 0.67,
                exponent: 0.02,
                effective_fee: 0.01,
            }),
        }],
        by_age: (0..20)
            .map(|bin| {
                let age = 0.05 + 0.1 * f64::from(bin);
                let value = crate::theory::hopping::round_age_value(age);
                AgePoint { age, work: 10.0, value: Estimate { value, low: value - 0.05, high: value + 0.05 } }
            })
            .collect(),
        gini: 0.1,
    }
}

fn summary() -> Summary {
    Summary {
        schema: SCHEMA,
        crate_version: "0.0.0".into(),
        name: "a <b> test".into(),
        scenario: "name = \"a <b> test\"\n".into(),
        scenario_hash: "00".into(),
        seed: 7,
        fidelity: "fluid".into(),
        horizon_seconds: 86_400.0,
        horizon_blocks: 40.0,
        confidence: 0.95,
        replications: Replications {
            done: 100,
            allowed: 100,
            antithetic: true,
            half_width: 0.01,
            reached: true,
            shares: 0,
            blocks: 4_000,
        },
        pools: vec![PoolOutcome {
            name: "main".into(),
            part: 0.05,
            chains: 1,
            work: spread(40.0),
            found: spread(40.0),
            withheld: 0.0,
            lost: 0.0,
            uncles: 0.0,
            red: 0.0,
            stale: 0.0,
            luck: [1u64, 2, 5, 10, 20]
                .map(|blocks| LuckPoint {
                    blocks,
                    count: 100,
                    mean: 1.0,
                    quantiles: [0.1, 0.5, 0.9, 1.3, 2.5],
                    band: crate::outcome::FAN.map(|part| {
                        crate::theory::window::mean_effort_quantile(u32::try_from(blocks).unwrap(), part)
                    }),
                })
                .to_vec(),
            rounds: (0..60).map(|bin| 400 - 6 * bin).collect(),
        }],
        schemes: vec![scheme("PROP", "PROP", 1.28), scheme("PPLNS, 8", "PPLNS", 1.0)],
        differences: vec![Difference {
            scheme: "PPLNS, 8".into(),
            against: "PROP".into(),
            group: "hop, \"per\"".into(),
            income: Estimate { value: -11.0, low: -12.0, high: -10.0 },
            gain: Some(30.0),
        }],
        game: Some(GameOutcome {
            pools: [("main", 0.2), ("other", 0.3)]
                .map(|(name, part)| GamePool {
                    name: name.into(),
                    part,
                    infiltration: vec![0.0, 0.02],
                    revenue: 0.95,
                    played: Estimate { value: 0.95, low: 0.94, high: 0.96 },
                })
                .to_vec(),
            rounds: vec![vec![1.0, 1.0], vec![1.01, 0.9], vec![0.95, 0.95]],
            settled: true,
        }),
    }
}

/// Fields of a CSV text, row by row.
fn parsed(text: &str) -> Vec<Vec<String>> {
    let mut rows = vec![vec![String::new()]];
    let mut quoted = false;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let row = rows.last_mut().unwrap();
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                row.last_mut().unwrap().push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(String::new()),
            '\n' if !quoted => rows.push(vec![String::new()]),
            other => row.last_mut().unwrap().push(other),
        }
    }
    assert!(!quoted);
    assert_eq!(rows.pop().unwrap(), [""], "the last line ends");
    rows
}

fn file(name: &str) -> String {
    let files = files(&summary());
    let (_, bytes) = files.iter().find(|(path, _)| path == name).unwrap_or_else(|| panic!("no {name}"));
    String::from_utf8(bytes.clone()).unwrap()
}

#[test]
fn a_result_has_all_its_files_and_the_same_bytes_every_time() {
    let names: Vec<String> = files(&summary()).into_iter().map(|(name, _)| name).collect();
    for name in
        ["summary.json", "report.html", "csv/incomes.csv", "csv/columns.csv", "plots/income-per-work.svg"]
    {
        assert!(names.iter().any(|found| found == name), "{name} is not among {names:?}");
    }
    let mut once = names.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), names.len());
    assert_eq!(files(&summary()), files(&summary()));
    let back: Summary = serde_json::from_str(&file("summary.json")).unwrap();
    let key =
        |summary: &Summary| (summary.schema, summary.seed, summary.scenario.clone(), summary.schemes.len());
    assert_eq!(key(&back), key(&summary()));
}

#[test]
fn tables_are_rectangular_and_explained() {
    let columns = parsed(&file("csv/columns.csv"));
    for (name, bytes) in files(&summary()).iter().filter(|(name, _)| name.starts_with("csv/")) {
        let rows = parsed(std::str::from_utf8(bytes).unwrap());
        assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{name}");
        let table = name.trim_start_matches("csv/").trim_end_matches(".csv");
        for column in &rows[0] {
            let explained =
                columns.iter().any(|row| row[0] == table && row[1] == *column && !row[2].is_empty());
            assert!(explained || table == "columns", "{table}.{column}");
        }
        assert!(rows.len() > 1, "{name} has rows");
    }
    let incomes = parsed(&file("csv/incomes.csv"));
    let found = incomes.iter().find(|row| {
        row[0] == "PPLNS, 8" && row[2] == "group" && row[3] == "hop, \"per\"" && row[8] == "per_work"
    });
    assert_eq!(found.unwrap()[9], "1");
}

#[test]
fn the_page_needs_nothing_else_and_says_the_verdict_first() {
    let page = file("report.html");
    for outside in ["http:", "https:", "src=", "href=", "url(http", "@import", "<link"] {
        // The only address is the name of SVG's own language, which is not fetched.
        assert!(!page.replace("http://www.w3.org/2000/svg", "").contains(outside), "{outside}");
    }
    assert!(!page.contains("a <b> test") && page.contains("a &lt;b&gt; test"));
    let verdict = page.find("Under PROP hopping pays").expect("a verdict");
    assert!(verdict < page.find("<svg").unwrap());
    assert!(page.matches("<title>").count() > 50, "values to hover over");
    for word in ["NaN", "inf ", ">inf", "undefined"] {
        assert!(!page.contains(word), "{word}");
    }
}

#[test]
fn verdicts_follow_the_numbers() {
    let said = verdict(&summary());
    assert_eq!(
        said.first,
        "Under PROP hopping pays: 1.280 blocks for each block of work (hop, \"per\") against 1.000 for honest miners beside."
    );
    assert_eq!(said.more[0], "Under PPLNS, 8 it does not: 1.000 against 1.000 for honest miners beside.");
    assert!(
        said.more[1].starts_with("With 20 blocks in reserve and a fee of 1.00\u{202f}%, PROP runs out"),
        "{said:?}"
    );
    assert!(said.more.iter().any(|sentence| sentence.contains("everyone loses by it")));
    // Those in another pool are not beside.
    let mut apart = summary();
    apart.scenario =
        "[[miners]]\nname = 'loyal <&>'\npool = 'x'\n[[miners]]\nname = 'hop, \"per\"'\npool = 'y'\n\
                      [[miners]]\nname = 'beside'\npool = 'y'\n"
            .into();
    for scheme in &mut apart.schemes {
        scheme.groups.push(holder("beside", "honest", 0.83));
    }
    assert!(
        verdict(&apart).first.ends_with("against 0.830 for honest miners beside and 1 outside."),
        "{:?}",
        verdict(&apart)
    );
    let mut peaceful = summary();
    peaceful.game = None;
    for scheme in &mut peaceful.schemes {
        scheme.groups.truncate(1);
        scheme.operators.clear();
    }
    assert!(verdict(&peaceful).first.starts_with("Under each of 2 schemes a block of work earns the same"));
    peaceful.schemes.clear();
    peaceful.replications.half_width = 0.0;
    assert!(verdict(&peaceful).first.starts_with("Nobody worked"));
}

#[test]
fn an_empty_result_makes_a_page_too() {
    let mut empty = summary();
    empty.schemes.clear();
    empty.pools.clear();
    empty.differences.clear();
    empty.game = None;
    assert!(files(&empty).len() > 10);
    let mut still = summary();
    for scheme in &mut still.schemes {
        for group in scheme.groups.iter_mut().chain(&mut scheme.accounts) {
            group.work = Distribution::default();
            group.income = Distribution::default();
            group.outside = 0.0;
            group.course.clear();
        }
        scheme.by_age.clear();
    }
    let page = files(&still).pop().unwrap();
    assert_eq!(page.0, "report.html");
    assert!(!String::from_utf8(page.1).unwrap().contains("NaN"));
}

#[test]
fn writing_replaces_whole_files() {
    let folder = tempfile::tempdir().unwrap();
    let pieces = [("a/b.txt".to_owned(), b"first".to_vec())];
    write(folder.path(), &pieces).unwrap();
    write(folder.path(), &[("a/b.txt".to_owned(), b"2".to_vec())]).unwrap();
    assert_eq!(std::fs::read(folder.path().join("a/b.txt")).unwrap(), b"2");
    assert_eq!(std::fs::read_dir(folder.path().join("a")).unwrap().count(), 1);
    let refused = write(&folder.path().join("a/b.txt"), &pieces).unwrap_err();
    assert!(refused.to_string().starts_with("cannot write "), "{refused}");
}
