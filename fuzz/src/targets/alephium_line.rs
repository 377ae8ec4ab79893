//! One line of an Alephium miner, in all three grammars.

use pool_core::id::JobId;
use pool_core::limits::Limits;
use pool_core::share::Reject;
use pool_stratum::dialect::alephium::{
    Alephium, AlephiumPuzzle, AlephiumWork, Grammar, Profile, difficulty, parse_nonce,
};
use pool_stratum::dialect::{Dialect, Message, Peer, Request, RequestId};
use pool_stratum::extranonce::Extranonce;
use serde::de::IgnoredAny;

#[derive(Debug)]
struct NoJob;

impl AlephiumPuzzle for NoJob {
    fn id(&self) -> JobId {
        JobId::new(1)
    }

    fn live(&self) -> &[u8] {
        &[]
    }

    fn work(&self, _chain: u8) -> Option<AlephiumWork<'_>> {
        None
    }
}

type Line = Alephium<NoJob>;

/// A line is a request or garbage; what is echoed of it is bounded, whole JSON on one line; a solution that it brings
/// is in the connection's own part of the nonces and names one of sixteen chains.
pub fn target(data: &[u8]) {
    let (dialect, limits) = (Line::default(), Limits::default());
    let hailed = dialect.hail(data);
    assert_eq!(dialect.hail(data), hailed, "the same line hails the same");
    for (grammar, width) in [(Grammar::Official, 2), (Grammar::Miningcore, 1), (Grammar::Stratum1, 4)] {
        let extranonce = Extranonce::new(0x21, width).expect("33 fits one byte");
        let peer = Peer { profile: Profile { grammar, mixes_ids: false }, extranonce };
        let id = match dialect.parse(&limits, &peer, data) {
            Ok(call) => {
                match &call.request {
                    Request::Submit { answer: Ok((_, solution)), .. } => {
                        assert!(solution.chain < 16);
                        let prefix = extranonce.value().to_be_bytes();
                        assert!(solution.nonce.starts_with(&prefix[4 - usize::from(width)..]));
                    }
                    Request::Reply(reply) => whole(reply),
                    _ => {}
                }
                call.id
            }
            Err((id, garbage)) => {
                refuse(&dialect, &peer, &id, Reject::Malformed, Some(&garbage.to_string()));
                id
            }
        };
        let mut json = Vec::new();
        id.write(&mut json);
        assert!(json.len() <= limits.id_bytes_max, "an id of {} bytes is echoed", json.len());
        for message in [
            Message::Welcome { id: &id },
            Message::Subscribed { id: &id },
            Message::Done { id: &id },
            Message::Authorized { id: &id, worker: 3 },
        ] {
            line(&dialect, &peer, message);
        }
        refuse(&dialect, &peer, &id, Reject::Unauthorized, Some("\"quoted\"\n\u{0}\u{7f}\u{2028}\\"));
        refuse(&dialect, &peer, &id, Reject::WrongChain, None);
    }
    // The line's own text where a miner would put a nonce or a difficulty.
    let text = super::text(data);
    let extranonce = Extranonce::new(0xab12, 2).expect("it fits two bytes");
    if let Ok(nonce) = parse_nonce(&text, extranonce) {
        assert_eq!(nonce[..2], [0xab, 0x12]);
        assert_eq!(parse_nonce(&format!("0x{}", hex::encode(nonce)), extranonce), Ok(nonce));
    }
    if let Some(work) = difficulty::parse(&text) {
        let mut written = Vec::new();
        difficulty::write(work, &mut written);
        assert_eq!(difficulty::parse(&super::text(&written)), Some(work));
    }
}

fn refuse(dialect: &Line, peer: &Peer<Profile>, id: &RequestId, reject: Reject, why: Option<&str>) {
    line(dialect, peer, Message::Refused { id, reject, why });
}

fn line(dialect: &Line, peer: &Peer<Profile>, message: Message<'_, Line>) {
    let mut out = Vec::new();
    dialect.render(peer, message, &mut out);
    if !out.is_empty() {
        whole(&out);
    }
}

fn whole(line: &[u8]) {
    assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1), "one message, one line");
    serde_json::from_slice::<IgnoredAny>(line).expect("a message is JSON");
}
