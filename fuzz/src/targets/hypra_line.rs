//! One line of a Hypra miner, in each of the four grammars: as a connection's first line and as a later one.

use pool_core::id::JobId;
use pool_core::limits::Limits;
use pool_core::share::Reject;
use pool_core::time::{Micros, Moment};
use pool_core::units::{Target, U256, Work};
use pool_stratum::dialect::hypra::{Grammar, Hypra, HypraSolution, HypraWork};
use pool_stratum::dialect::{Dialect, Message, Peer, Request, RequestId};
use pool_stratum::extranonce::Extranonce;
use pool_stratum::jobs::JobRing;
use serde::de::IgnoredAny;
use std::sync::Arc;

type Line = Hypra<HypraWork>;

/// The seal hash of the one job that was announced.
const SEAL: [u8; 32] = [0x5e; 32];

/// A line is a request or garbage; what is echoed of it is bounded, whole JSON on lines of their own; a solution that it
/// brings is in the connection's own part of the nonces where it has one, and for the job whose seal hash it names.
pub fn target(data: &[u8]) {
    let (dialect, limits) = (Line::default(), Limits::default());
    let work = HypraWork {
        id: JobId::new(7),
        seal_hash: SEAL,
        seed_hash: [0; 32],
        height: 31_999,
        network: Target::new(U256::MAX >> 20),
        clean: true,
    };
    let ring = JobRing::<Line>::new(4, Micros::from_secs(60));
    let posted = ring.publish(Moment::ZERO, Arc::new(work)).expect("the first job has no predecessor");
    let share = Work::new(4_000).expect("not zero");
    let hailed = dialect.hail(data);
    for grammar in [Grammar::NiceHash, Grammar::Second, Grammar::Proxy, Grammar::First] {
        let extranonce = Extranonce::new(0x21, 1 + grammar as u8).expect("33 fits one byte");
        let peer = Peer { profile: grammar, extranonce };
        lines(&dialect.notify(&peer, &posted, share));
        let id = match dialect.parse(&limits, &peer, data) {
            Ok(call) => {
                request(&dialect, &peer, hailed, &call.request);
                call.id
            }
            Err((id, garbage)) => {
                let why = garbage.to_string();
                render(
                    &dialect,
                    &peer,
                    Message::Refused { id: &id, reject: Reject::Malformed, why: Some(&why) },
                );
                id
            }
        };
        echo(&limits, &dialect, &peer, &id);
        render(&dialect, &peer, Message::Work { id: &id, job: Some((&posted, share)) });
    }
    // The same bytes as a path: what it logs in is a line that is understood.
    let path = super::text(data);
    if let Some(line) = dialect.http_login(&path) {
        assert_eq!(dialect.hail(&line), Grammar::Proxy, "{path:?}");
        let extranonce = Extranonce::new(1, 1).expect("1 fits one byte");
        let peer = Peer { profile: Grammar::Proxy, extranonce };
        let wide = Limits { id_bytes_max: limits.id_bytes_max, ..Limits::default() };
        let call = dialect.parse(&wide, &peer, &line).expect("a login that is made here is one");
        assert!(matches!(call.request, Request::Authorize { .. }));
    }
}

fn request(dialect: &Line, peer: &Peer<Grammar>, hailed: Grammar, request: &Request<'_, HypraSolution>) {
    match request {
        Request::Submit { answer: Ok((job, solution)), .. } => match peer.profile {
            Grammar::NiceHash | Grammar::Second => {
                assert!(peer.extranonce.owns(solution.nonce));
                assert_eq!(solution.mix, None);
            }
            Grammar::Proxy => {
                assert_eq!(job.get(), 7, "no other job has a seal hash");
                assert!(solution.mix.is_some());
            }
            Grammar::First => {}
        },
        Request::Hello { agent } | Request::Subscribe { agent } => {
            assert_eq!(dialect.profile(hailed, agent), hailed, "a grammar is chosen once");
        }
        Request::Authorize { password, .. } => {
            let _ = dialect.password_work(password);
        }
        Request::Reply(line) => lines(line),
        Request::Submit { answer: Err(_), .. }
        | Request::Login { .. }
        | Request::ExtranonceSubscribe
        | Request::Suggest { .. }
        | Request::Poll
        | Request::Courtesy
        | Request::Ask { .. }
        | Request::Response
        | Request::Unknown => {}
    }
}

fn echo(limits: &Limits, dialect: &Line, peer: &Peer<Grammar>, id: &RequestId) {
    let mut json = Vec::new();
    id.write(&mut json);
    assert!(json.len() <= limits.id_bytes_max, "an id of {} bytes is echoed", json.len());
    for message in [
        Message::Welcome { id },
        Message::Subscribed { id },
        Message::Authorized { id, worker: 1 },
        Message::Done { id },
        Message::Work { id, job: None },
        Message::Refused { id, reject: Reject::Duplicate, why: None },
        Message::Refused { id, reject: Reject::Unauthorized, why: Some("\"quoted\"\n\u{0}\u{7f}\u{2028}\\") },
    ] {
        render(dialect, peer, message);
    }
}

fn render(dialect: &Line, peer: &Peer<Grammar>, message: Message<'_, Line>) {
    let mut out = Vec::new();
    dialect.render(peer, message, &mut out);
    lines(&out);
}

/// Whole lines, each of them JSON.
fn lines(bytes: &[u8]) {
    let Some(lines) = bytes.strip_suffix(b"\n") else {
        return assert!(bytes.is_empty(), "a line without its end");
    };
    for line in lines.split(|byte| *byte == b'\n') {
        serde_json::from_slice::<IgnoredAny>(line).expect("a message is JSON");
    }
}
