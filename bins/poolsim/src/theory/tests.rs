//! Every closed form against its values to 30 digits.

use super::{dilemma::Rivals, hopping, ruin, variance, window};
use pool_core::units::{Amount, BasisPoints};
use pool_rewards::solvency::{Business, PER_BILLION};
use serde_json::Value;

/// The expected values of a case.
fn case(id: &str) -> Value {
    let file: Value = serde_json::from_str(include_str!("../../testdata/theory.json")).unwrap();
    let cases = file["cases"].as_array().unwrap();
    cases.iter().find(|case| case["id"] == id).unwrap_or_else(|| panic!("no case {id}")).clone()
}

/// A number: JSON's own, decimal text, or a fraction in text.
fn number(value: &Value) -> f64 {
    match value {
        Value::Number(number) => number.as_f64().unwrap(),
        Value::String(text) => match text.split_once('/') {
            Some((top, bottom)) => top.parse::<f64>().unwrap() / bottom.parse::<f64>().unwrap(),
            None => text.parse().unwrap(),
        },
        other => panic!("{other} is no number"),
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

#[track_caller]
fn close(value: f64, known: f64, tolerance: f64) {
    assert!((value - known).abs() <= tolerance * known.abs().max(1e-9), "{value} is not {known}");
}

/// `f` at each of the case's inputs is the expected value beside it.
#[track_caller]
fn each(inputs: &Value, expected: &Value, f: impl Fn(f64) -> f64) {
    let (inputs, expected) = (numbers(inputs), numbers(expected));
    assert_eq!(inputs.len(), expected.len());
    for (x, known) in inputs.into_iter().zip(expected) {
        close(f(x), known, 1e-12);
    }
}

#[test]
fn hopping_a_round() {
    close(hopping::leaving_age(), number(&case("th-01-hop-point")["expected"]["x0"]), 1e-13);
    let values = case("th-02-hop-values");
    each(&values["inputs"]["x"], &values["expected"]["f"], hopping::round_age_value);
    let discrete = case("th-03-hop-discrete");
    let inputs = discrete["inputs"]["cases"].as_array().unwrap();
    for (input, known) in inputs.iter().zip(numbers(&discrete["expected"]["f"])) {
        let p = 1.0 / number(&input[1]);
        close(hopping::round_age_value_discrete(input[0].as_u64().unwrap(), p), known, 1e-10);
    }
    close(hopping::round_age_value_discrete(3, 1.0), 0.25, 1e-15);
    let one = case("th-04-hop-1pool");
    close(hopping::hopper_total(), number(&one["expected"]["total"]), 1e-13);
    close(hopping::hopper_inside(), number(&one["expected"]["in_pool"]), 1e-13);
    close(hopping::hopper_presence(), number(&one["expected"]["pool_fraction"]), 1e-13);
    let many = case("th-05-hop-npools");
    each(&many["inputs"]["n"], &many["expected"]["with_fallback"], |n| hopping::hopper_among(n as u32));
    each(&many["inputs"]["n"], &many["expected"]["always_youngest"], |n| hopping::youngest_of(n as u32));
    let loyal = case("th-06-hop-victims");
    each(&loyal["inputs"]["eta"], &loyal["expected"]["loyal"], hopping::loyal_left);
    close(hopping::loyal_left(1e15), number(&loyal["expected"]["limit"]), 1e-12);
}

#[test]
fn windows_of_time_cost_visitors_most_at_one_size() {
    let known = case("th-07-slush-min");
    let worst = super::special::peak(0.1, 50.0, |size| -hopping::time_window_visit(size));
    close(worst, number(&known["expected"]["H"]), 1e-6);
    close(hopping::time_window_visit(worst), number(&known["expected"]["efficiency"]), 1e-13);
    close(hopping::time_window_visit(1e9), 1.0, 1e-7);
}

#[test]
fn variance_of_a_share() {
    let known = case("th-08-variance-per-share");
    for shares in [1000u32, 1_000_000] {
        let (p, expected) = (1.0 / f64::from(shares), &known["expected"][shares.to_string()]);
        close(variance::solo(p), number(&expected["solo"]), 1e-12);
        close(variance::prop(p), number(&expected["prop"]), 1e-12);
        for blocks in [1u32, 2, 8] {
            let known = number(&expected[format!("pplns_X{blocks}")]);
            close(variance::pplns(p, f64::from(blocks)), known, 1e-12);
        }
        for (name, c, o) in [
            ("dgm_c1/2_o0", 0.5, 0.0),
            ("dgm_c1/10_o0", 0.1, 0.0),
            ("dgm_c1/10_o9/10", 0.1, 0.9),
            ("dgm_c1/100_o99/100", 0.01, 0.99),
            ("dgm_c1/4_o1/2", 0.25, 0.5),
        ] {
            // r² - 1 loses digits where p is small.
            close(variance::double_geometric(p, c, o), number(&expected[name]["exact"]), 1e-8);
            close(variance::double_geometric_limit(c, o), number(&expected[name]["limit"]), 1e-12);
        }
    }
    close(variance::exponential(1e-12, 3.0), 1.0 / 6.0, 1e-11);
    let operator = case("th-09-geo-operator");
    close(variance::geometric_operator_mean(0.25), number(&operator["expected"]["mean"]), 1e-15);
    close(
        variance::geometric_operator_variance(1e-3, 0.25),
        number(&operator["expected"]["variance"]),
        1e-11,
    );
}

#[test]
fn income_of_a_steady_miner() {
    let known = case("th-20-miner-income");
    let (q, t) = (0.01, 1000.0);
    close(variance::solo_income(q, t), number(&known["expected"]["solo"]), 1e-13);
    close(variance::pooled_income(q, t), number(&known["expected"]["pooled"]), 1e-13);
    close(variance::share_noise(q, t, 2000.0), number(&known["expected"]["share_noise"]), 1e-13);
    close(variance::pps_income(q, t, 1e-3), number(&known["expected"]["pps"]), 1e-13);
    // With small shares only luck is left, however long the window.
    close(variance::window_income(q, t, 8.0, 1e-12), variance::pooled_income(q, t), 1e-9);
    let (p, noise) = (1e-3, variance::share_noise(q, t, 1e3));
    close(
        variance::window_income(q, t, 1.0, p),
        variance::pooled_income(q, t) * 0.999 + noise * 1.999,
        1e-12,
    );
}

#[test]
fn reserves() {
    let known = case("th-10-pps-ruin");
    for (fee, expected) in known["expected"].as_object().unwrap() {
        let f: f64 = fee.parse().unwrap();
        close(ruin::exponent(f), number(&expected["z_exact"]), 1e-11);
        close(ruin::diffusion_exponent(f, 0.0), number(&expected["z_diffusion"]), 1e-13);
        for delta in ["0.01", "0.001", "1e-6"] {
            let (known, part) = (&expected[format!("R_{delta}")], delta.parse().unwrap());
            close(ruin::reserve(ruin::exponent(f), part), number(&known["exact"]), 1e-11);
            close(ruin::reserve(2.0 * f, part), number(&known["diffusion"]), 1e-13);
        }
    }
    let spread = case("th-11-fpps-feevar");
    for cv_squared in ["0.04", "0.25"] {
        let (known, cv) = (&spread["expected"][cv_squared], cv_squared.parse::<f64>().unwrap().sqrt());
        let values = [(1.0 - cv, 0.5), (1.0 + cv, 0.5)];
        close(ruin::exponent_of(0.02, &values), number(&known["z"]), 1e-11);
        close(ruin::diffusion_exponent(0.02, cv), number(&known["diffusion"]), 1e-12);
    }
    let margin = case("th-12-effective-fee");
    let inputs = margin["inputs"]["cases"].as_array().unwrap();
    for (input, known) in inputs.iter().zip(numbers(&margin["expected"]["f_eff"])) {
        let of = |index: usize| number(&input[index]);
        assert!((ruin::effective_margin(of(0), of(1), of(2)) - known).abs() < 1e-15);
    }
    let time = case("th-23-reserve-time");
    let reserve = ruin::reserve(ruin::exponent(0.01), 0.001);
    for (pool, per_day) in time["inputs"]["blocks_per_day"].as_object().unwrap() {
        close(ruin::reserve_days(reserve, number(per_day)), number(&time["expected"][pool]), 1e-11);
    }
}

/// The reserve that production computes in integers is the one computed here.
#[test]
fn reserves_are_those_of_the_production_crate() {
    let block = 1_000_000_000_000u128;
    for fee in [50u16, 100, 200, 500] {
        let business = Business {
            fee: BasisPoints::new(fee).unwrap(),
            lost: BasisPoints::ZERO,
            withheld: BasisPoints::ZERO,
        };
        for ruin in [10_000_000u32, 1_000_000, 1_000] {
            let exact = business.margin().unwrap().reserve(&[Amount::new(block)], ruin).unwrap();
            let here =
                ruin::reserve(ruin::exponent(f64::from(fee) / 1e4), f64::from(ruin) / f64::from(PER_BILLION));
            close(here, exact.get() as f64 / block as f64, 1e-9);
        }
    }
}

#[test]
fn windows_and_luck() {
    let never = case("th-13-never-paid");
    each(&never["inputs"]["X"], &never["expected"]["p_zero"], window::never_paid);
    close(1.0 - window::never_paid(8.0), number(&never["expected"]["paid_at_8"]), 1e-14);
    close(window::never_paid_discrete(2.0, 1e-9), window::never_paid(2.0), 1e-8);
    for (part, known) in case("th-14-luck")["expected"].as_object().unwrap() {
        close(window::effort_quantile(part.parse().unwrap()), number(known), 1e-13);
    }
    for (blocks, known) in case("th-15-luck-n")["expected"].as_object().unwrap() {
        for (part, known) in known.as_object().unwrap() {
            let (blocks, part) = (blocks.parse().unwrap(), part.parse().unwrap());
            let effort = window::mean_effort_quantile(blocks, part);
            close(effort, number(known), 1e-11);
            close(window::mean_effort_below(blocks, effort), part, 1e-10);
        }
    }
    let choice = case("th-18-pplns-choice");
    for (cv, known) in choice["expected"].as_object().unwrap() {
        let units = window::window_for_variation(cv.parse().unwrap());
        close(units, number(&known["X"]), 1e-12);
        for (pool, rate, part) in [("KAS", 10.0, 0.05), ("ALPH", 2.0, 0.1), ("BTC", 1.0 / 600.0, 0.05)] {
            close(window::window_seconds(units, rate, part), number(&known["seconds"][pool]), 1e-12);
        }
    }
    close(window::loan(2.0), 1.0, 1e-15);
    let audit = &case("th-17-audit-samples")["expected"];
    for (phi, missed, key) in [
        (0.1, 1e-6, "phi=0.1,d=1e-6"),
        (0.01, 1e-6, "phi=0.01,d=1e-6"),
        (0.01, 0.001, "phi=0.01,d=0.001"),
        (0.001, 1e-6, "phi=0.001,d=1e-6"),
    ] {
        assert_eq!(window::audit_samples(phi, missed), audit[key].as_u64().unwrap());
    }
}

#[test]
fn edges_of_windows() {
    let startup = case("th-19-startup");
    each(&startup["inputs"]["x"], &startup["expected"]["g"], hopping::startup_value);
    for (id, growth) in [("th-21-tides-retarget-g21_20", 1.05), ("th-21-tides-retarget-g11_10", 1.1)] {
        let known = case(id);
        each(&known["inputs"]["x"], &known["expected"]["ev"], |x| hopping::raw_window_value(x, 8.0, growth));
        let even = hopping::raw_window_break_even(8.0, growth);
        close(even, number(&known["expected"]["break_even_x"]), 1e-13);
        close(hopping::raw_window_value(even, 8.0, growth), 1.0, 1e-13);
        let most = hopping::raw_window_value(8.0, 8.0, growth);
        close(most, number(&known["expected"]["max_ev"]), 1e-13);
        // The two branches meet, and nothing is left of the surplus past the longer window.
        close(hopping::raw_window_value(8.0 + 1e-12, 8.0, growth), most, 1e-11);
        close(hopping::raw_window_value(8.0 * growth, 8.0, growth), 1.0, 1e-13);
    }
    let halving = case("th-22-halving");
    each(&halving["inputs"]["x"], &halving["expected"]["ev"], |x| hopping::value_change_value(x, 2.0, 0.5));
}

#[test]
fn the_miners_dilemma() {
    let known = case("th-16-miners-dilemma");
    for (powers, known) in known["expected"].as_object().unwrap() {
        let (first, second) = powers.split_once(',').unwrap();
        let mut rivals = Rivals::peaceful(first.parse().unwrap(), second.parse().unwrap());
        close(rivals.income()[0], 1.0, 1e-15);
        rivals.sent[0] = rivals.best_reply(0);
        let one_sided = &known["one_sided"];
        close(rivals.sent[0], number(&one_sided["x12"]), 1e-5);
        close(rivals.income()[0], number(&one_sided["r1"]), 1e-10);
        close(rivals.income()[1], number(&one_sided["r2"]), 1e-6);
        let (settled, known) = (rivals.equilibrium(), &known["equilibrium"]);
        close(settled.sent[0], number(&known["x12"]), 1e-5);
        close(settled.sent[1], number(&known["x21"]), 1e-5);
        close(settled.income()[0], number(&known["r1"]), 1e-6);
        close(settled.income()[1], number(&known["r2"]), 1e-6);
    }
}

/// The double geometric method pays each share exactly its part for any difficulties: the telescoping product, played
/// out in expectation over the sequence of the case.
#[test]
fn the_double_geometric_method_telescopes() {
    let (c, o) = (0.2, 0.5);
    let growth = (1.0 - c) * (1.0 - o) / c;
    let weights =
        std::iter::once(1.0 / 7.0).chain((0..400).map(|n| if n % 2 == 0 { 1.0 / 3.0 } else { 1.0 / 11.0 }));
    let (mut expected, mut score) = (0.0, 1.0);
    for p in weights {
        score /= 1.0 + p * growth;
        expected += p * growth * score;
        score *= 1.0 - p + p * o;
    }
    close(expected / 7.0, number(&case("th-24-dgm-identity")["expected"]["target"]), 1e-12);
}
