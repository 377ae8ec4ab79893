//! A saved state of the reward rules: a cache, so one that does not read is thrown away, and never more than that.
//!
//! What a disk gives back may be anything. The first byte picks what the bytes are taken for: the whole tally, or one
//! scheme's state.

use pool_core::units::{BasisPoints, Units};
use pool_rewards::codec::{Reader, Writer};
use pool_rewards::scheme::{Rule, SchemeParams, Underfilled, WindowEdge};
use pool_rewards::tally::Tally;

/// A state that loads saves to the bytes it came from; one that does not is refused, whatever lengths it claims.
pub fn target(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    if let Some(params) = rules().get(usize::from(*kind)) {
        let mut scheme = params.start().expect("the rules here are valid");
        let mut reader = Reader::new(bytes);
        if scheme.load(&mut reader).is_ok() && reader.end().is_ok() {
            let mut out = Writer::default();
            scheme.save(&mut out);
            let saved = out.into_bytes();
            let mut again = params.start().expect("the rules here are valid");
            again.load(&mut Reader::new(&saved)).expect("what was saved can be loaded");
            assert_eq!(again.open(), scheme.open());
        }
        return;
    }
    let mut reader = Reader::new(bytes);
    if let Ok(tally) = Tally::load(&mut reader) {
        let mut out = Writer::default();
        tally.save(&mut out);
        let again = Tally::load(&mut Reader::new(&out.into_bytes())).expect("what was saved can be loaded");
        assert_eq!(again.params(), tally.params());
        assert_eq!(again.open().collect::<Vec<_>>(), tally.open().collect::<Vec<_>>());
    }
}

/// One of each kind of state. The corpus is written with the places of this list, so it only grows at its end.
fn rules() -> Vec<SchemeParams> {
    let points = |points| BasisPoints::new(points).expect("below 10 000");
    let (window, underfilled) = (Units::BLOCK, Underfilled::default());
    let pplns = Rule::Pplns { window, underfilled, edge: WindowEdge::Interval };
    let rules = [
        Rule::Solo {},
        Rule::Prop {},
        pplns.clone(),
        Rule::Exponential { window, underfilled },
        Rule::DoubleGeometric { average_fee: points(100), carry_over: points(5_000) },
        Rule::Tides { blocks: 8 },
        Rule::Mixed { part: points(2_500), first: Box::new(Rule::Prop {}), rest: Box::new(pplns) },
    ];
    rules.into_iter().map(SchemeParams::new).collect()
}
