use super::*;
use serde_json::json;

/// The published vectors; `testdata/README.md` says where they come from.
fn vectors() -> Vec<Value> {
    let file: Value = serde_json::from_str(include_str!("../../testdata/rewards.json")).unwrap();
    file["cases"].as_array().unwrap().clone()
}

/// Every member of `expected` stands in `answer`, at any depth.
fn assert_within(expected: &Value, answer: &Value, place: &str) {
    match (expected, answer) {
        (Value::Object(expected), Value::Object(answer)) => {
            for (key, value) in expected {
                let found = answer.get(key).unwrap_or_else(|| panic!("{place}.{key} is missing"));
                assert_within(value, found, &format!("{place}.{key}"));
            }
            // Maps by account must not hold strangers either.
            if ["alloc", "credit", "exact", "weights", "net"].iter().any(|key| place.ends_with(key)) {
                assert_eq!(expected.len(), answer.len(), "{place}: {answer:?}");
            }
        }
        (Value::Array(expected), Value::Array(answer)) => {
            assert_eq!(expected.len(), answer.len(), "{place}");
            for (index, (expected, answer)) in expected.iter().zip(answer).enumerate() {
                assert_within(expected, answer, &format!("{place}[{index}]"));
            }
        }
        _ => assert_eq!(expected, answer, "{place}"),
    }
}

#[test]
fn every_vector_that_splits_something_is_answered_to_the_unit() {
    let mut answered = 0;
    for case in vectors() {
        let id = case["id"].as_str().unwrap();
        match case["scheme"].as_str().unwrap() {
            "FLOAT" | "WIDTH" | "THEORY" | "FIXEDPOINT" => {
                assert!(matches!(split_case(&case), Err(CaseError::NothingToSplit(_))), "{id}");
            }
            _ if id == "round-06-residual-ledger" => {
                let inputs =
                    json!({ "scheme": "ROUNDING", "inputs": { "steps": case["expected"]["steps"] } });
                assert_within(&case["expected"], &split_case(&inputs).unwrap(), id);
                answered += 1;
            }
            _ => {
                assert_within(&case["expected"], &split_case(&case).unwrap(), id);
                // Without its name and its words a case has the same answer, where its inputs tell all.
                if !id.contains("hopexact") {
                    let bare = json!({ "scheme": case["scheme"], "inputs": case["inputs"] });
                    assert_within(&case["expected"], &split_case(&bare).unwrap(), id);
                }
                answered += 1;
            }
        }
    }
    assert_eq!(answered, 30);
}

fn inputs_of(id: &str) -> (Value, Value) {
    let case = vectors().into_iter().find(|case| case["id"] == id).unwrap();
    (case["scheme"].clone(), case["inputs"].clone())
}

fn changed(id: &str, change: impl Fn(&mut Value)) -> Result<Value> {
    let (scheme, mut inputs) = inputs_of(id);
    change(&mut inputs);
    split_case(&json!({ "scheme": scheme, "inputs": inputs }))
}

#[test]
fn bad_logs_name_their_place() {
    let place = |index: usize| format!("inputs.shares[{index}]");
    let gap = changed("prop-01", |inputs| {
        inputs["shares"].as_array_mut().unwrap().remove(4);
    });
    assert_eq!(gap, Err(CaseError::Gap { place: place(4), last: 4, found: 6 }));
    let repeat = changed("pplns-01", |inputs| inputs["shares"][3]["seq"] = json!(3));
    assert_eq!(repeat, Err(CaseError::Repeat { place: place(3), last: 3, found: 3 }));
    for id in ["prop-01", "pplns-02-fraction", "pps-01", "fpps-01-trim0", "dgm-01", "tides-01", "solo-01"] {
        let zero = changed(id, |inputs| inputs["shares"][2]["D"] = json!("0"));
        assert_eq!(zero, Err(CaseError::ZeroDifficulty("inputs.shares[2].D".into())), "{id}");
        let zero = changed(id, |inputs| inputs["shares"][2]["d"] = json!(0));
        assert_eq!(zero, Err(CaseError::ZeroDifficulty("inputs.shares[2].d".into())), "{id}");
        let absurd = changed(id, |inputs| inputs["shares"][1]["D"] = json!("1e90"));
        assert_eq!(absurd, Err(CaseError::AbsurdDifficulty("inputs.shares[1].D".into())), "{id}");
        let missing = changed(id, |inputs| {
            inputs["shares"][1].as_object_mut().unwrap().remove("D");
        });
        assert_eq!(missing, Err(CaseError::Missing("inputs.shares[1].D".into())), "{id}");
        let empty = changed(id, |inputs| inputs["shares"] = json!([]));
        assert_eq!(empty, Err(CaseError::EmptyRound("inputs.shares".into())), "{id}");
    }
    let unknown = changed("prop-07-multichain", |inputs| inputs["block_seq"] = json!(11));
    assert_eq!(unknown, Err(CaseError::UnknownBlock { place: "inputs.block_seq".into(), seq: 11 }));
    let wide =
        changed("prop-01", |inputs| inputs["reward"] = json!("340282366920938463463374607431768211456"));
    assert_eq!(wide, Err(CaseError::WideAmount("inputs.reward".into())));
    let widest =
        changed("prop-01", |inputs| inputs["reward"] = json!("340282366920938463463374607431768211455"))
            .unwrap();
    let sum: u128 = widest["alloc"]
        .as_object()
        .unwrap()
        .values()
        .map(|amount| amount.as_str().unwrap().parse::<u128>().unwrap())
        .sum();
    assert_eq!(sum, u128::MAX);
}

#[test]
fn bad_members_name_their_place() {
    let wrong = |place: &str, expected| Err(CaseError::Wrong { place: place.into(), expected });
    assert_eq!(
        changed("prop-01", |inputs| inputs["reward"] = json!(1.5)),
        wrong("inputs.reward", "a whole number of smallest units")
    );
    assert_eq!(changed("pplns-01", |inputs| inputs["X"] = json!("0")), wrong("inputs.X", "above zero"));
    assert_eq!(
        changed("prop-02", |inputs| inputs["fee_bps"] = json!(10_001)),
        wrong("inputs.fee_bps", "at most 10000 basis points")
    );
    assert_eq!(changed("dgm-01", |inputs| inputs["c"] = json!("0")), wrong("inputs.c", "above zero"));
    assert_eq!(
        changed("pplns-01", |inputs| inputs["X"] = json!("1/0")),
        wrong("inputs.X", "a number, a decimal or a fraction n/d")
    );
    assert_eq!(
        changed("pplns-01", |inputs| {
            inputs.as_object_mut().unwrap().remove("X");
        }),
        Err(CaseError::Missing("inputs.X".into()))
    );
    assert!(matches!(split_text("{"), Err(CaseError::Json(_))));
    assert!(matches!(split_text("[]"), Err(CaseError::Wrong { place, .. }) if place == "the case"));
    assert_eq!(split_text(r#"{"scheme":"PROP"}"#), Err(CaseError::Missing("inputs".into())));
    assert_eq!(split_text(r#"{"scheme":"POT","inputs":{}}"#), Err(CaseError::UnknownScheme("POT".into())));
}

fn log(marks: &[(u64, &str, u64, u64)]) -> Value {
    marks
        .iter()
        .map(|(seq, miner, d, network)| {
            json!({ "seq": seq, "miner": miner, "d": d.to_string(), "D": network.to_string() })
        })
        .collect()
}

#[test]
fn several_blocks_are_answered_in_a_list() {
    let mut shares = log(&[
        (1, "a", 1, 4),
        (2, "b", 1, 4),
        (3, "a", 1, 4),
        (4, "b", 2, 4),
        (5, "c", 1, 4),
        (6, "a", 1, 4),
    ]);
    shares[2]["block"] = json!(true);
    shares[5]["block"] = json!(true);
    let prop =
        split_case(&json!({ "scheme": "PROP", "inputs": { "shares": shares, "reward": 900 } })).unwrap();
    assert_eq!(prop["blocks"][0]["alloc"], json!({ "a": 600, "b": 300 }));
    assert_eq!(prop["blocks"][1]["alloc"], json!({ "a": 225, "b": 450, "c": 225 }));
    let pplns = split_case(&json!({ "scheme": "PPLNS", "inputs": {
        "shares": shares, "X": "1/2", "blocks": [{ "seq": 3, "reward": 100 }, { "seq": 6, "reward": 7 }]
    } }))
    .unwrap();
    assert_eq!(pplns["blocks"][0]["alloc"], json!({ "a": 50, "b": 50 }));
    assert_eq!(pplns["blocks"][1]["alloc"], json!({ "a": 4, "c": 3 }));
}

#[test]
fn a_lost_round_joins_the_next_or_is_forfeited() {
    let mut shares = log(&[(1, "a", 1, 4), (2, "b", 1, 4), (3, "b", 1, 4), (4, "c", 1, 4)]);
    shares[1]["block"] = json!(true);
    shares[1]["orphan"] = json!(true);
    shares[3]["block"] = json!(true);
    let answer =
        split_case(&json!({ "scheme": "PROP", "inputs": { "shares": shares, "reward": 100 } })).unwrap();
    assert_eq!(answer["alloc"], json!({ "a": 25, "b": 50, "c": 25 }));
    assert_eq!(answer["merge"]["alloc"], answer["alloc"]);
    assert_eq!(answer["forfeit"]["alloc"], json!({ "b": 50, "c": 50 }));
}

#[test]
fn other_schemes_answer_beyond_the_file() {
    let weights = json!({ "a": 20, "b": 10, "c": 100 });
    let ic = json!({ "scheme": "IC-2016", "inputs": { "shares": weights, "finder": "b", "D": 100, "reward": 1300 } });
    assert_eq!(split_case(&ic).unwrap()["alloc"], json!({ "a": 200, "b": 100, "c": 1000 }));
    let trimmed = changed("fpps-01-trim0", |inputs| inputs["trim"] = json!(3)).unwrap();
    assert_eq!(trimmed["fpps_rate"], "9509/9375");
    assert_eq!(
        changed("fpps-01-trim0", |inputs| inputs["trim"] = json!(6)),
        Err(CaseError::EmptyRound("inputs.day_blocks after trimming".into()))
    );
    let by_reference = changed("slice-01-work", |inputs| inputs["rule"] = json!("ref")).unwrap();
    assert_eq!(by_reference["alloc"], by_reference["ref"]["alloc"]);
    assert_ne!(by_reference["alloc"], by_reference["work"]["alloc"]);
    let geometric = changed("dgm-01", |inputs| {
        inputs.as_object_mut().unwrap().remove("o");
    });
    assert_eq!(geometric, Err(CaseError::Missing("inputs.o".into())));
    let (_, mut inputs) = inputs_of("dgm-01");
    inputs.as_object_mut().unwrap().remove("o");
    let geometric = split_case(&json!({ "scheme": "GEOMETRIC", "inputs": inputs })).unwrap();
    let zero = changed("dgm-01", |inputs| inputs["o"] = json!("0")).unwrap();
    assert_eq!(geometric, zero);
    let debts = json!({ "scheme": "CPPSRB", "inputs": { "rate": "10", "rounds": [
        { "shares": [{ "miner": "a", "d": 30 }], "reward": 100 },
        { "shares": [{ "miner": "b", "d": 20 }], "reward": 150 },
        { "shares": [{ "miner": "c", "d": 1 }], "reward": 200 }
    ] } });
    let answer = split_case(&debts).unwrap();
    assert_eq!(answer["rounds"][0]["credit"], json!({ "a": 100 }));
    assert_eq!(answer["rounds"][1]["credit"], json!({ "b": 150 }));
    assert_eq!(answer["rounds"][2]["credit"], json!({ "a": 140, "b": 50, "c": 10 }));
    assert_eq!(answer["rounds"][2]["owed"], json!({ "a": "60", "b": "0", "c": "0" }));
}

#[test]
fn a_window_longer_than_the_log_says_both_policies() {
    let answer = changed("pplns-01", |inputs| inputs["X"] = json!("4")).unwrap();
    assert_eq!(answer["renormalise"]["alloc"], answer["alloc"]);
    assert_eq!(answer["operator_keeps"]["alloc"]["~operator"], json!(250_001));
    let stated = changed("pplns-01", |inputs| {
        inputs["X"] = json!("4");
        inputs["underfilled"] = json!("operator-keeps");
    })
    .unwrap();
    assert_eq!(stated["alloc"], answer["operator_keeps"]["alloc"]);
}

#[test]
fn numbers_are_written_as_they_are_read() {
    use super::number::*;
    let of = |text: &str| rational(&json!(text), "x");
    assert_eq!(exact(&of("-3/6").unwrap()), json!("-1/2"));
    assert_eq!(exact(&of("1.25e1").unwrap()), json!("25/2"));
    assert_eq!(whole(&of("9007199254740991").unwrap().to_integer()), json!(9_007_199_254_740_991_u64));
    assert_eq!(whole(&of("9007199254740992").unwrap().to_integer()), json!("9007199254740992"));
    assert_eq!(digits30(&of("1/3").unwrap()), json!("0.333333333333333333333333333333"));
    assert_eq!(digits30(&of("2e40").unwrap()), json!("20000000000000000000000000000000000000000"));
    assert_eq!(digits30(&of("-1/800").unwrap()), json!("-0.00125"));
    assert_eq!(digits30(&of("0.9999999999999999999999999999999").unwrap()), json!("1"));
    for bad in ["", "1/0", "1.", ".5", "1e401", "0x1", "1/2/3", "--1", "nan", "1e", "+1"] {
        assert!(of(bad).is_err(), "{bad:?}");
    }
    let e = Q::new(1.into(), 1.into()) / exp_minus(&Q::from_integer(1.into()));
    assert_eq!(digits30(&e), json!("2.71828182845904523536028747135"));
}
