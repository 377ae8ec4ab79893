//! One line of a Nexa miner, in both grammars and in every family's reading.

use pool_core::limits::Limits;
use pool_core::share::Reject;
use pool_stratum::dialect::nexa::table::built_in;
use pool_stratum::dialect::nexa::{Nexa, NexaWork};
use pool_stratum::dialect::{Dialect, Message, Peer, Request, RequestId};
use pool_stratum::extranonce::Extranonce;
use serde::de::IgnoredAny;

type Line = Nexa<NexaWork>;

/// A line is a request or garbage; what is echoed of it is bounded, whole JSON on one line; a nonce that it brings has
/// its grammar's length and begins with the connection's own prefix.
pub fn target(data: &[u8]) {
    let (dialect, limits) = (Line::default(), Limits::default());
    let agents = built_in().into_iter().map(|row| row.agent_contains);
    for (place, agent) in agents.chain([String::new()]).enumerate() {
        let width = 1 + (place % 4) as u8;
        let extranonce = Extranonce::new(0x21, width).expect("33 fits one byte");
        let profile = dialect.profile(dialect.hail(data), &agent);
        assert_eq!(profile, dialect.profile(dialect.hail(data), &agent));
        let peer = Peer { profile, extranonce };
        let id = match dialect.parse(&limits, &peer, data) {
            Ok(call) => {
                if let Request::Submit { answer: Ok((_, solution)), .. } = &call.request {
                    let nonce = solution.nonce.bytes();
                    assert_eq!(nonce.len(), profile.form().nonce_len());
                    let prefix = extranonce.value().to_be_bytes();
                    assert!(nonce.starts_with(&prefix[4 - usize::from(width)..]), "somebody else's nonce");
                }
                if let Request::Authorize { password, .. } = &call.request {
                    let _ = dialect.password_work(password);
                }
                call.id
            }
            Err((id, garbage)) => {
                let why = garbage.to_string();
                line(
                    &dialect,
                    &peer,
                    Message::Refused { id: &id, reject: Reject::Malformed, why: Some(&why) },
                );
                id
            }
        };
        let mut json = Vec::new();
        id.write(&mut json);
        assert!(json.len() <= limits.id_bytes_max, "an id of {} bytes is echoed", json.len());
        serde_json::from_slice::<IgnoredAny>(&json).expect("an id is echoed as JSON");
        replies(&dialect, &peer, &id);
    }
}

fn replies(dialect: &Line, peer: &Peer<<Line as Dialect>::Profile>, id: &RequestId) {
    for message in [Message::Subscribed { id }, Message::Done { id }, Message::Authorized { id, worker: 0 }] {
        line(dialect, peer, message);
    }
    let why = Some("\"quoted\"\n\u{0}\u{7f}\u{2028}\\");
    line(dialect, peer, Message::Refused { id, reject: Reject::Unauthorized, why });
    line(dialect, peer, Message::Refused { id, reject: Reject::Duplicate, why: None });
}

fn line(dialect: &Line, peer: &Peer<<Line as Dialect>::Profile>, message: Message<'_, Line>) {
    let mut out = Vec::new();
    dialect.render(peer, message, &mut out);
    assert_eq!(out.iter().position(|byte| *byte == b'\n'), Some(out.len() - 1), "one message, one line");
    serde_json::from_slice::<IgnoredAny>(&out).expect("a message is JSON");
}
