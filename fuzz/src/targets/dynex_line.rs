//! One line of a Dynex miner, in both generations' reading.

use super::text;
use pool_core::id::JobId;
use pool_core::limits::Limits;
use pool_core::share::Reject;
use pool_stratum::dialect::dynex::account::{Account, password_work};
use pool_stratum::dialect::dynex::{
    Dynex, DynexPuzzle, DynexWork, Generation, MallobId, Profile, Question, TargetForm,
};
use pool_stratum::dialect::{Dialect, Message, Peer, Request, RequestId};
use pool_stratum::extranonce::Extranonce;
use serde::de::IgnoredAny;

/// A job for the grammar's sake.
#[derive(Debug)]
struct Blob;

impl DynexPuzzle for Blob {
    fn work(&self) -> DynexWork {
        DynexWork { id: JobId::new(1), height: 1, clean: false }
    }

    fn blob(&self, extranonce: u32) -> Vec<u8> {
        vec![extranonce as u8; 76]
    }
}

type Line = Dynex<Blob>;

/// A line is a request or garbage; what is echoed of it is bounded, whole JSON on one line; a solution it brings is of
/// the connection's own extranonce, and its claim is bounded; a login is one account with one worker's name.
pub fn target(data: &[u8]) {
    let (dialect, limits) = (Line::default(), Limits::default());
    let hailed = dialect.hail(data);
    let known = Profile { generation: Generation::V235, mallob: MallobId::new("ab") };
    for profile in [Profile::default(), known, hailed] {
        let extranonce = Extranonce::new(0x0102_0304, 4).expect("it fits four bytes");
        let peer = Peer { profile, extranonce };
        let id = match dialect.parse(&limits, &peer, data) {
            Ok(call) => {
                request(&call.request, data.len());
                call.id
            }
            Err((id, garbage)) => {
                let why = garbage.to_string();
                let refused = Message::Refused { id: &id, reject: Reject::Malformed, why: Some(&why) };
                line(&dialect, &peer, refused);
                id
            }
        };
        let mut json = Vec::new();
        id.write(&mut json);
        assert!(json.len() <= limits.id_bytes_max, "an id of {} bytes is echoed", json.len());
        serde_json::from_slice::<IgnoredAny>(&json).expect("an id is echoed as JSON");
        replies(&dialect, &peer, &id, &text(data));
    }
    let text = text(data);
    if let Ok(account) = Account::parse(&text, "x") {
        assert!(!account.address.contains(['#', '.', '+', ',', '/']));
        assert!(account.payment_id.is_none_or(|id| id.len() == 64));
    }
    if let Some(work) = password_work(&text) {
        for form in [TargetForm::Bits32, TargetForm::Bits64] {
            let mut digits = Vec::new();
            form.write(work, &mut digits);
            assert!(digits.iter().any(|digit| *digit != b'0'), "a target that nobody can divide by");
            assert!(form.share_target(work).work() <= work.max(pool_core::units::Work::ONE));
        }
    }
}

fn request(request: &Request<'_, <Line as Dialect>::Solution>, line_len: usize) {
    match request {
        Request::Submit { answer: Ok((_, solution)), .. } => {
            assert_eq!(solution.extranonce, 0x0102_0304);
            let claim = solution.pouw.take().expect("every solution has a claim");
            assert!(claim.data.len() <= line_len);
        }
        Request::Ask { payload } => {
            let question = Question::parse(payload).expect("a question is written as it is read");
            assert!(question.payload.len() <= line_len);
            assert_eq!(question.to_text(), **payload);
        }
        Request::Reply(reply) => one_line(reply),
        _ => {}
    }
}

fn replies(dialect: &Line, peer: &Peer<Profile>, id: &RequestId, words: &str) {
    for message in [
        Message::Done { id },
        Message::LoggedIn { id, first: None },
        Message::Work { id, job: None },
        Message::Told { id, payload: words },
        Message::Refused { id, reject: Reject::BadAddress, why: Some(words) },
        Message::Refused { id, reject: Reject::Unattested { code: 414 }, why: None },
    ] {
        line(dialect, peer, message);
    }
}

fn line(dialect: &Line, peer: &Peer<Profile>, message: Message<'_, Line>) {
    let mut out = Vec::new();
    dialect.render(peer, message, &mut out);
    one_line(&out);
}

fn one_line(out: &[u8]) {
    assert_eq!(out.iter().position(|byte| *byte == b'\n'), Some(out.len() - 1), "one message, one line");
    serde_json::from_slice::<IgnoredAny>(out).expect("a message is JSON");
}
