//! One line of a miner, in every family's reading.
//!
//! The families differ in what they send and what they are sent, so the same line goes through each of them, with
//! extranonces of every width.

use pool_core::limits::Limits;
use pool_core::share::Reject;
use pool_stratum::dialect::kaspa::table::built_in;
use pool_stratum::dialect::kaspa::{Kaspa, KaspaWork, nonce};
use pool_stratum::dialect::{Dialect, Message, Peer, Request, RequestId};
use pool_stratum::extranonce::Extranonce;
use pool_stratum::session::split_user;
use serde::de::IgnoredAny;

type Line = Kaspa<KaspaWork>;

/// A line is a request or garbage; what is echoed of it is bounded, whole JSON on one line; a solution that it brings
/// is in the connection's own part of the nonces.
pub fn target(data: &[u8]) {
    let (dialect, limits) = (Line::default(), Limits::default());
    let agents = built_in().into_iter().map(|row| row.agent_contains);
    for (place, agent) in agents.chain([String::new()]).enumerate() {
        let width = 1 + (place % 4) as u8;
        let extranonce = Extranonce::new(0x21, width).expect("33 fits one byte");
        let peer = Peer { profile: dialect.profile(dialect.hail(b""), &agent), extranonce };
        let id = match dialect.parse(&limits, &peer, data) {
            Ok(call) => {
                request(&dialect, &peer, &call.request);
                call.id
            }
            Err((id, garbage)) => {
                refuse(&dialect, &peer, &id, Reject::Malformed, Some(&garbage.to_string()));
                id
            }
        };
        echo(&limits, &dialect, &peer, &id);
    }
    // The line's own text where a miner would put a nonce.
    let text = super::text(data);
    for (value, width) in [(0x21, 1), (0x21, 2), (0xffff, 2), (1, 3), (u32::MAX, 4)] {
        let extranonce = Extranonce::new(value, width).expect("the values fit their widths");
        for decimal in [false, true] {
            if let Ok(nonce) = nonce::parse(&text, extranonce, decimal) {
                assert!(extranonce.owns(nonce), "{text:?} is in another connection's part");
                assert_eq!(nonce::parse(&format!("0x{nonce:016x}"), extranonce, decimal), Ok(nonce));
            }
        }
    }
}

fn request(
    dialect: &Line,
    peer: &Peer<<Line as Dialect>::Profile>,
    request: &Request<'_, <Line as Dialect>::Solution>,
) {
    match request {
        Request::Submit { answer: Ok((_, solution)), .. } => assert!(peer.extranonce.owns(solution.nonce)),
        Request::Subscribe { agent } => {
            assert_eq!(dialect.profile(peer.profile, agent), dialect.profile(peer.profile, agent));
        }
        Request::Authorize { user, password } => {
            // Whatever a name is, the worker's part of it is safe to show.
            let (_, worker) = split_user(user);
            assert!(
                worker.as_str().bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"'&".contains(&byte))
            );
            let _ = dialect.password_work(password);
        }
        Request::Submit { answer: Err(_), .. }
        | Request::Login { .. }
        | Request::ExtranonceSubscribe
        | Request::Suggest { .. }
        | Request::Hello { .. }
        | Request::Poll
        | Request::Reply(_)
        | Request::Ask { .. }
        | Request::Courtesy
        | Request::Response
        | Request::Unknown => {}
    }
}

fn echo(limits: &Limits, dialect: &Line, peer: &Peer<<Line as Dialect>::Profile>, id: &RequestId) {
    let mut json = Vec::new();
    id.write(&mut json);
    assert!(json.len() <= limits.id_bytes_max, "an id of {} bytes is echoed", json.len());
    serde_json::from_slice::<IgnoredAny>(&json).expect("an id is echoed as JSON");
    for message in [Message::Subscribed { id }, Message::Done { id }] {
        line(dialect, peer, message);
    }
    refuse(dialect, peer, id, Reject::Unauthorized, Some("\"quoted\"\n\u{0}\u{7f}\u{2028}\\"));
    refuse(dialect, peer, id, Reject::Duplicate, None);
}

fn refuse(
    dialect: &Line,
    peer: &Peer<<Line as Dialect>::Profile>,
    id: &RequestId,
    reject: Reject,
    why: Option<&str>,
) {
    line(dialect, peer, Message::Refused { id, reject, why });
}

fn line(dialect: &Line, peer: &Peer<<Line as Dialect>::Profile>, message: Message<'_, Line>) {
    let mut out = Vec::new();
    dialect.render(peer, message, &mut out);
    if out.is_empty() {
        return;
    }
    assert_eq!(out.iter().position(|byte| *byte == b'\n'), Some(out.len() - 1), "one message, one line");
    serde_json::from_slice::<IgnoredAny>(&out).expect("a message is JSON");
}
