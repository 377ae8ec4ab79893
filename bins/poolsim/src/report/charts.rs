//! Which charts a result has, and in which order: first who earns what, then why, then over time, then the operator,
//! then luck. A chart that would show nothing is left out.

use super::number::{duration, percent, short, time_unit};
use super::plot::{Axis, Figure, Layer, Panel, Span};
use crate::outcome::{AccountOutcome, Distribution, FanPoint, OperatorOutcome, SchemeOutcome, Summary};
use crate::replay::Comparison;
use crate::theory::{hopping, window};

/// Where a chart belongs in the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Who earns what.
    Income,
    /// What a share is worth when.
    Age,
    /// Over time.
    Course,
    /// The operator's side.
    Operator,
    /// What luck did.
    Luck,
    /// Pools against each other.
    Game,
}

/// No more groups than this in one chart; the others are in the tables.
const GROUPS_MAX: usize = 14;
/// No more schemes than this in one chart.
const SCHEMES_MAX: usize = 8;

/// All charts of a result.
#[must_use]
pub fn charts(summary: &Summary) -> Vec<(Part, Figure)> {
    let mut all = Vec::new();
    all.extend(per_work(summary).map(|figure| (Part::Income, figure)));
    all.extend(spread(summary).map(|figure| (Part::Income, figure)));
    all.extend(differences(summary).map(|figure| (Part::Income, figure)));
    all.extend(by_age(summary).map(|figure| (Part::Age, figure)));
    all.extend(courses(summary).into_iter().map(|figure| (Part::Course, figure)));
    all.extend(ruin(summary).map(|figure| (Part::Operator, figure)));
    all.extend(operators(summary).map(|figure| (Part::Operator, figure)));
    all.extend(luck(summary).map(|figure| (Part::Luck, figure)));
    all.extend(rounds(summary).map(|figure| (Part::Luck, figure)));
    all.extend(game(summary).map(|figure| (Part::Game, figure)));
    all
}

fn schemes(summary: &Summary) -> &[SchemeOutcome] {
    &summary.schemes[..summary.schemes.len().min(SCHEMES_MAX)]
}

/// The groups that did any work, as far as a chart has room.
fn worked(scheme: &SchemeOutcome) -> impl Iterator<Item = (usize, &AccountOutcome)> {
    let worked = |group: &AccountOutcome| group.work.mean.value > 0.0 || group.outside > 0.0;
    scheme.groups.iter().enumerate().filter(move |(_, group)| worked(group)).take(GROUPS_MAX)
}

/// The height of so many rows with so many points each.
fn rows_height(rows: usize, points: usize) -> f64 {
    rows as f64 * (points as f64 * 21.0 + 16.0)
}

/// Where the `index`-th of `count` points stands in its row.
fn within(row: usize, index: usize, count: usize) -> f64 {
    row as f64 + (index as f64 + 0.5) / count as f64 * 0.84 - 0.42
}

/// Points of all schemes in rows of groups.
fn rows_of_groups(
    summary: &Summary,
    span: impl Fn(&SchemeOutcome, &AccountOutcome, f64) -> Option<Span>,
) -> (Vec<String>, Vec<Layer>) {
    let schemes = schemes(summary);
    let Some(first) = schemes.first() else { return (Vec::new(), Vec::new()) };
    let rows: Vec<(usize, String)> = worked(first).map(|(index, group)| (index, titled(group))).collect();
    let layers = schemes.iter().enumerate().map(|(place, scheme)| {
        let spans = rows.iter().enumerate().filter_map(|(row, (group, _))| {
            span(scheme, scheme.groups.get(*group)?, within(row, place, schemes.len()))
        });
        Layer::Spans { name: scheme.name.clone(), colour: place, spans: spans.collect() }
    });
    let layers = layers.collect();
    (rows.into_iter().map(|(_, name)| name).collect(), layers)
}

fn titled(group: &AccountOutcome) -> String {
    if group.strategy == "honest" || group.strategy == group.name {
        group.name.clone()
    } else {
        format!("{} ({})", group.name, group.strategy)
    }
}

fn per_work(summary: &Summary) -> Option<Figure> {
    let (rows, mut layers) = rows_of_groups(summary, |scheme, group, row| {
        let found = group.controlled.map_or(group.per_work, |controlled| controlled.estimate);
        Some(Span {
            row,
            at: found.value,
            outer: (found.low, found.high),
            inner: None,
            label: format!("{:.4}", found.value),
            hover: format!(
                "{}, {}: {:.5} ({:.5} to {:.5})",
                titled(group),
                scheme.name,
                found.value,
                found.low,
                found.high
            ),
        })
    });
    if rows.is_empty() {
        return None;
    }
    layers.push(Layer::Mark { name: String::new(), at: 1.0 });
    let height = rows_height(rows.len(), schemes(summary).len());
    Some(Figure {
        name: "income-per-work".into(),
        title: "What a unit of work earns".into(),
        note: format!(
            "Income over work, all miners of a group together, with {} intervals. At 1 a group gets exactly what its \
             work is worth; fees are off.",
            percent(summary.confidence, 0)
        ),
        panels: vec![Panel {
            title: String::new(),
            x: Axis::linear("income per unit of work (1 = its worth, before fees)"),
            y: Axis::rows(rows),
            layers,
        }],
        columns: 1,
        height,
    })
}

/// Quantiles of a distribution. Counted ones are off by up to half a percent of themselves: where runs differ by little
/// more than that, the normal law by mean and deviation is nearer.
pub(super) fn quantiles(distribution: &Distribution) -> [f64; 7] {
    const NORMAL: [f64; 7] = [-2.326_348, -1.644_854, -0.674_490, 0.0, 0.674_490, 1.644_854, 2.326_348];
    let (mean, deviation) = (distribution.mean.value, distribution.variance.max(0.0).sqrt());
    if deviation < 0.03 * mean.abs() {
        NORMAL.map(|step| mean + step * deviation)
    } else {
        distribution.quantiles
    }
}

fn spread(summary: &Summary) -> Option<Figure> {
    let (rows, mut layers) = rows_of_groups(summary, |scheme, group, row| {
        let work = group.work.mean.value;
        if work <= 0.0 || group.income.count < 2 {
            return None;
        }
        let quantiles = quantiles(&group.income);
        let quantile = |index: usize| quantiles[index] / work;
        Some(Span {
            row,
            at: quantile(3),
            outer: (quantile(1), quantile(5)),
            inner: Some((quantile(2), quantile(4))),
            label: String::new(),
            hover: format!(
                "{}, {}\nmedian {}\nhalf of runs {} to {}\nnine of ten {} to {}",
                titled(group),
                scheme.name,
                short(quantile(3), 4),
                short(quantile(2), 4),
                short(quantile(4), 4),
                short(quantile(1), 4),
                short(quantile(5), 4)
            ),
        })
    });
    let any = layers.iter().any(|layer| matches!(layer, Layer::Spans { spans, .. } if !spans.is_empty()));
    if !any {
        return None;
    }
    layers.push(Layer::Mark { name: String::new(), at: 1.0 });
    let height = rows_height(rows.len(), schemes(summary).len());
    Some(Figure {
        name: "income-spread".into(),
        title: "How far luck spreads it".into(),
        note: format!(
            "Income from pools in one run of {}, over the mean work in pools. Dot: the median; thick line: half of all \
             runs; thin line: nine of ten.",
            duration(summary.horizon_seconds)
        ),
        panels: vec![Panel {
            title: String::new(),
            x: Axis::linear("income of one run over mean work"),
            y: Axis::rows(rows),
            layers,
        }],
        columns: 1,
        height,
    })
}

fn differences(summary: &Summary) -> Option<Figure> {
    let first = summary.schemes.first()?;
    let rows: Vec<(usize, String)> = worked(first).map(|(index, group)| (index, titled(group))).collect();
    let others = schemes(summary).get(1..)?;
    if others.is_empty() || rows.is_empty() {
        return None;
    }
    let layer = |(place, scheme): (usize, &SchemeOutcome)| {
        let spans = rows.iter().enumerate().filter_map(|(row, (index, title))| {
            let group = &first.groups[*index];
            let work = group.work.mean.value + group.outside;
            let found = summary.differences.iter().find(|difference| {
                difference.scheme == scheme.name
                    && difference.against == first.name
                    && difference.group == group.name
            })?;
            let part = |value: f64| value / work;
            let income = found.income;
            Some(Span {
                row: within(row, place, others.len()),
                at: part(income.value),
                outer: (part(income.low), part(income.high)),
                inner: None,
                label: super::number::signed_percent(part(income.value), 2),
                hover: format!(
                    "{title}, {} instead of {}: {} blocks a run ({} to {})",
                    scheme.name,
                    first.name,
                    short(income.value, 4),
                    short(income.low, 4),
                    short(income.high, 4)
                ),
            })
        });
        // Colours as in the other charts, where the first scheme has the first one.
        Layer::Spans { name: scheme.name.clone(), colour: place + 1, spans: spans.collect() }
    };
    let mut layers: Vec<Layer> = others.iter().enumerate().map(layer).collect();
    layers.push(Layer::Mark { name: String::new(), at: 0.0 });
    Some(Figure {
        name: "differences".into(),
        title: format!("What changes against {}", first.name),
        note: format!(
            "Difference in income over work, each run against the same run under {}: the same luck on both sides, so \
             that what is left is the scheme.",
            first.name
        ),
        panels: vec![Panel {
            title: String::new(),
            x: Axis::linear(format!("income less that under {}, over work", first.name)).percent(),
            y: Axis::rows(rows.iter().map(|(_, title)| title.clone()).collect()),
            layers,
        }],
        columns: 1,
        height: rows_height(rows.len(), others.len()),
    })
}

fn by_age(summary: &Summary) -> Option<Figure> {
    /// Past this age hardly a round is left.
    const AGE_MAX: f64 = 4.0;
    let mut layers = Vec::new();
    let mut proportional = false;
    for (place, scheme) in schemes(summary).iter().enumerate() {
        let points: Vec<_> =
            scheme.by_age.iter().filter(|point| point.work > 0.0 && point.age <= AGE_MAX).collect();
        if points.len() < 2 {
            continue;
        }
        proportional |= scheme.kind == "PROP";
        layers.push(Layer::Band {
            name: String::new(),
            colour: place,
            opacity: 0.18,
            points: points.iter().map(|point| (point.age, point.value.low, point.value.high)).collect(),
        });
        layers.push(Layer::Line {
            name: scheme.name.clone(),
            colour: place,
            dashed: false,
            points: points.iter().map(|point| (point.age, point.value.value)).collect(),
        });
    }
    if layers.is_empty() {
        return None;
    }
    let shown = layers.iter().filter_map(|layer| match layer {
        Layer::Line { points, .. } => points.last().map(|point| point.0),
        _ => None,
    });
    let last = shown.fold(0.0, f64::max);
    if proportional {
        let steps = (1..=80).map(|step| last * f64::from(step) / 80.0).filter(|age| *age >= 0.05);
        layers.push(Layer::Line {
            name: "PROP by theory, nobody hopping".into(),
            colour: 7,
            dashed: true,
            points: steps.map(|age| (age, hopping::round_age_value(age))).collect(),
        });
        let x0 = hopping::leaving_age();
        if x0 < last {
            layers.push(Layer::Mark { name: format!("a hopper leaves at {x0:.3}"), at: x0 });
        }
    }
    layers.push(Layer::Level { name: "fair".into(), at: 1.0 });
    Some(Figure {
        name: "value-by-age".into(),
        title: "What a share is worth by the age of the round".into(),
        note: "Mean pay per unit of work, by the work already in the round. A flat line gives nobody a reason to leave."
            .into(),
        panels: vec![Panel {
            title: String::new(),
            x: Axis::linear("work in the round before the share (expected blocks)").from_to(0.0, last),
            y: Axis::linear("pay per unit of work").from_to(0.0, 1.2),
            layers,
        }],
        columns: 1,
        height: 340.0,
    })
}

/// A fan of quantiles with its median and mean.
fn fan(course: &[FanPoint], colour: usize, unit: f64) -> Vec<Layer> {
    let band = |low: usize, high: usize| {
        course
            .iter()
            .map(|point| (point.seconds / unit, point.quantiles[low], point.quantiles[high]))
            .collect()
    };
    let line = |value: &dyn Fn(&FanPoint) -> f64| {
        course.iter().map(|point| (point.seconds / unit, value(point))).collect()
    };
    vec![
        Layer::Band { name: "nine of ten runs".into(), colour, opacity: 0.16, points: band(0, 4) },
        Layer::Band { name: "half of all runs".into(), colour, opacity: 0.3, points: band(1, 3) },
        Layer::Line {
            name: "median".into(),
            colour,
            dashed: false,
            points: line(&|point| point.quantiles[2]),
        },
        Layer::Line { name: "mean".into(), colour, dashed: true, points: line(&|point| point.mean) },
    ]
}

/// Panels of one row of figures share their ends upwards.
fn common_ends(courses: &[&[FanPoint]]) -> (f64, f64) {
    let (mut low, mut high) = (0.0f64, 0.0f64);
    for point in courses.iter().flat_map(|course| course.iter()) {
        low = low.min(point.quantiles[0]).min(point.mean);
        high = high.max(point.quantiles[4]).max(point.mean);
    }
    (low, high)
}

fn courses(summary: &Summary) -> Vec<Figure> {
    let (unit, name) = time_unit(summary.horizon_seconds);
    let schemes = &schemes(summary)[..schemes(summary).len().min(6)];
    let Some(first) = schemes.first() else { return Vec::new() };
    // Who does something else than mining comes first; two groups say enough.
    let mut groups: Vec<(usize, &AccountOutcome)> =
        worked(first).filter(|(_, group)| group.course.len() > 1).collect();
    groups.sort_by_key(|(_, group)| group.strategy == "honest");
    let figure = |(index, group): (usize, &AccountOutcome)| {
        let courses: Vec<&[FanPoint]> =
            schemes.iter().map(|scheme| scheme.groups[index].course.as_slice()).collect();
        let (low, high) = common_ends(&courses);
        let panel = |(place, scheme): (usize, &SchemeOutcome)| Panel {
            title: scheme.name.clone(),
            x: Axis::linear(format!("time ({name})")).only(0.0, summary.horizon_seconds / unit),
            y: Axis::linear(if place % 2 == 0 { "income − fair value (blocks)" } else { "" })
                .from_to(low, high),
            layers: [Layer::Level { name: String::new(), at: 0.0 }]
                .into_iter()
                .chain(fan(&scheme.groups[index].course, place, unit))
                .collect(),
        };
        Figure {
            name: format!("course-{}", stem(&group.name)),
            title: format!("{} over time", titled(group)),
            note: "Income so far less the fair value of the work so far, in blocks. The bands are over runs."
                .into(),
            panels: schemes.iter().enumerate().map(panel).collect(),
            columns: 2,
            height: 210.0,
        }
    };
    groups.into_iter().take(2).map(figure).collect()
}

/// A name that a file may have.
fn stem(name: &str) -> String {
    let letters = name
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' });
    letters.collect()
}

/// Every operator who can be ruined, with its scheme's place.
fn ruinable(summary: &Summary) -> Vec<(usize, &SchemeOutcome, &OperatorOutcome)> {
    let schemes = schemes(summary).iter().enumerate();
    schemes
        .flat_map(|(place, scheme)| scheme.operators.iter().map(move |operator| (place, scheme, operator)))
        .filter(|(_, _, operator)| operator.ruin.len() > 1)
        .collect()
}

/// A scheme's name, and the pool's where there are several.
fn at_pool(summary: &Summary, scheme: &SchemeOutcome, operator: &OperatorOutcome) -> String {
    if summary.pools.len() > 1 { format!("{}, {}", scheme.name, operator.pool) } else { scheme.name.clone() }
}

fn ruin(summary: &Summary) -> Option<Figure> {
    let mut found = ruinable(summary);
    // A line at zero is no picture; the table says it with its interval.
    found.retain(|(_, _, operator)| {
        let ruined = operator.ruin.iter().any(|point| point.probability.value > 0.0);
        ruined || operator.ultimate.is_some_and(|ultimate| ultimate.exact > 1e-4)
    });
    let (unit, name) = time_unit(summary.horizon_seconds);
    let mut layers = Vec::new();
    for (index, (_, scheme, operator)) in found.iter().enumerate().take(8) {
        let points = &operator.ruin;
        layers.push(Layer::Band {
            name: String::new(),
            colour: index,
            opacity: 0.15,
            points: points
                .iter()
                .map(|point| (point.seconds / unit, point.probability.low, point.probability.high))
                .collect(),
        });
        layers.push(Layer::Line {
            name: at_pool(summary, scheme, operator),
            colour: index,
            dashed: false,
            points: points.iter().map(|point| (point.seconds / unit, point.probability.value)).collect(),
        });
        if let Some(ultimate) = operator.ultimate {
            layers.push(Layer::Line {
                name: "ever, by theory".into(),
                colour: index,
                dashed: true,
                points: vec![(0.0, ultimate.exact), (summary.horizon_seconds / unit, ultimate.exact)],
            });
        }
    }
    (!layers.is_empty()).then(|| Figure {
        name: "ruin".into(),
        title: "When the reserve is used up".into(),
        note: "The part of runs whose operator's balance was below zero by then; dashed, where known, the probability \
               that it ever is."
            .into(),
        panels: vec![Panel {
            title: String::new(),
            x: Axis::linear(format!("time ({name})")).only(0.0, summary.horizon_seconds / unit),
            y: Axis::linear("probability of ruin by then").from_to(0.0, 0.01).percent(),
            layers,
        }],
        columns: 1,
        height: 300.0,
    })
}

fn operators(summary: &Summary) -> Option<Figure> {
    let (unit, name) = time_unit(summary.horizon_seconds);
    let mut found = ruinable(summary);
    if found.is_empty() {
        // Where nobody can be ruined a balance is still worth a look if it varies.
        let all = schemes(summary).iter().enumerate();
        found = all
            .flat_map(|(place, scheme)| {
                scheme.operators.iter().map(move |operator| (place, scheme, operator))
            })
            .filter(|(_, _, operator)| operator.course.len() > 1 && varies(&operator.balance))
            .collect();
    }
    found.truncate(6);
    let panel = |(index, (_, scheme, operator)): (usize, &(usize, &SchemeOutcome, &OperatorOutcome))| Panel {
        title: at_pool(summary, scheme, operator),
        x: Axis::linear(format!("time ({name})")).only(0.0, summary.horizon_seconds / unit),
        y: Axis::linear(if index % 2 == 0 { "balance (blocks)" } else { "" }).from_to(0.0, 0.0),
        layers: [Layer::Level { name: String::new(), at: 0.0 }]
            .into_iter()
            .chain(fan(&operator.course, index, unit))
            .collect(),
    };
    let panels: Vec<Panel> =
        found.iter().filter(|(_, _, operator)| operator.course.len() > 1).enumerate().map(panel).collect();
    (!panels.is_empty()).then(|| Figure {
        name: "operator".into(),
        title: "The operator's balance".into(),
        note: "Reserve and everything since, in blocks; the bands are over runs.".into(),
        columns: panels.len().min(2),
        panels,
        height: 220.0,
    })
}

fn varies(distribution: &Distribution) -> bool {
    distribution.variance > 1e-12
}

fn luck(summary: &Summary) -> Option<Figure> {
    let panel = |(index, pool): (usize, &crate::outcome::PoolOutcome)| {
        let points: Vec<_> = pool.luck.iter().filter(|point| point.count > 1).collect();
        (points.len() > 1).then(|| Panel {
            title: pool.name.clone(),
            x: Axis::linear("blocks").logarithmic(),
            y: Axis::linear(if index.is_multiple_of(2) { "work per block" } else { "" }).from_to(0.0, 2.0),
            layers: vec![
                Layer::Band {
                    name: "nine of ten, by luck alone".into(),
                    colour: 7,
                    opacity: 0.25,
                    points: points
                        .iter()
                        .map(|point| (point.blocks as f64, point.band[0], point.band[4]))
                        .collect(),
                },
                Layer::Band {
                    name: "nine of ten runs".into(),
                    colour: 0,
                    opacity: 0.3,
                    points: points
                        .iter()
                        .map(|point| (point.blocks as f64, point.quantiles[0], point.quantiles[4]))
                        .collect(),
                },
                Layer::Line {
                    name: "mean".into(),
                    colour: 0,
                    dashed: false,
                    points: points.iter().map(|point| (point.blocks as f64, point.mean)).collect(),
                },
                Layer::Level { name: String::new(), at: 1.0 },
            ],
        })
    };
    let panels: Vec<Panel> = summary.pools.iter().enumerate().filter_map(panel).take(4).collect();
    (!panels.is_empty()).then(|| Figure {
        name: "luck".into(),
        title: "Luck, and what luck alone would do".into(),
        note: "Mean work per block over the first n blocks of a run. Work that is paid but finds fewer blocks (withheld, \
               stale) lifts the runs out of the grey band."
            .into(),
        columns: panels.len().min(2),
        panels,
        height: 240.0,
    })
}

fn rounds(summary: &Summary) -> Option<Figure> {
    let panel = |(index, pool): (usize, &crate::outcome::PoolOutcome)| {
        let total: u64 = pool.rounds.iter().sum();
        if total < 20 {
            return None;
        }
        // The last bin has no upper end: it is not drawn.
        let closed = pool.rounds.len().saturating_sub(1).min(50);
        let bars = pool.rounds[..closed].iter().enumerate().map(|(bin, count)| {
            let from = bin as f64 / 10.0;
            (from, from + 0.1, *count as f64 / total as f64 * 10.0)
        });
        let curve = (0..=100).map(|step| f64::from(step) * closed as f64 / 1000.0);
        Some(Panel {
            title: pool.name.clone(),
            x: Axis::linear("work of a round (expected blocks)").only(0.0, closed as f64 / 10.0),
            y: Axis::linear(if index.is_multiple_of(2) { "density" } else { "" }).from_to(0.0, 1.0),
            layers: vec![
                Layer::Bars { name: "rounds".into(), colour: 0, bars: bars.collect() },
                Layer::Line {
                    name: "exponential".into(),
                    colour: 7,
                    dashed: true,
                    points: curve.map(|work| (work, (-work).exp())).collect(),
                },
                Layer::Mark { name: "19 of 20 rounds".into(), at: window::effort_quantile(0.95) },
            ],
        })
    };
    let panels: Vec<Panel> = summary.pools.iter().enumerate().filter_map(panel).take(4).collect();
    (!panels.is_empty()).then(|| Figure {
        name: "rounds".into(),
        title: "How long rounds are".into(),
        note: "Work per found block over all rounds of all runs, beside the exponential law that chance follows.".into(),
        columns: panels.len().min(2),
        panels,
        height: 220.0,
    })
}

fn game(summary: &Summary) -> Option<Figure> {
    let game = summary.game.as_ref()?;
    let layers = game.pools.iter().enumerate().map(|(place, pool)| Layer::Line {
        name: format!("{} ({} of the network)", pool.name, percent(pool.part, 0)),
        colour: place,
        dashed: false,
        points: game
            .rounds
            .iter()
            .enumerate()
            .filter_map(|(round, revenues)| Some((round as f64, *revenues.get(place)?)))
            .collect(),
    });
    let mut layers: Vec<Layer> = layers.collect();
    layers.push(Layer::Level { name: "without attacks".into(), at: 1.0 });
    Some(Figure {
        name: "game".into(),
        title: "Pools that attack each other".into(),
        note: "Revenue per hashrate of a pool's own members, round by round of best replies.".into(),
        panels: vec![Panel {
            title: String::new(),
            x: Axis::linear("rounds of best replies"),
            y: Axis::linear("revenue per hashrate"),
            layers,
        }],
        columns: 1,
        height: 280.0,
    })
}

/// Every account under every scheme of a replayed log: what it would have got for its work.
pub(super) fn replay(comparison: &Comparison) -> Option<Figure> {
    /// An account with less than this part of the work is mostly luck.
    const PART_MIN: f64 = 1e-3;
    /// Further off than this is drawn at the edge.
    const EDGE: f64 = 3.0;
    let mut spans = Vec::new();
    for (row, column) in comparison.columns.iter().enumerate() {
        for (account, (miner, work)) in comparison.accounts.iter().enumerate() {
            let part = work / comparison.work;
            let Some(against) = comparison.against_work(row, account).filter(|_| part >= PART_MIN) else {
                continue;
            };
            let at = against.min(EDGE);
            spans.push(Span {
                row: row as f64,
                at,
                outer: (at, at),
                inner: None,
                label: String::new(),
                hover: format!(
                    "{miner}\n{} of the work\n{}: {} of its worth",
                    percent(part, 2),
                    column.name,
                    percent(against, 1)
                ),
            });
        }
    }
    if spans.is_empty() {
        return None;
    }
    let rows: Vec<String> = comparison.columns.iter().map(|column| column.name.clone()).collect();
    Some(Figure {
        name: "replay".into(),
        title: "What the same work would have got".into(),
        note: "A dot is an account with at least a thousandth of the work: its credit over its part of everything that \
               blocks brought. Those above 3 stand at 3."
            .into(),
        height: rows.len() as f64 * 30.0,
        panels: vec![Panel {
            title: String::new(),
            x: Axis::linear("credit over worth of the work (before fees)").from_to(0.0, 1.5),
            y: Axis::rows(rows),
            layers: vec![
                Layer::Spans { name: String::new(), colour: 0, spans },
                Layer::Mark { name: String::new(), at: 1.0 },
            ],
        }],
        columns: 1,
    })
}
