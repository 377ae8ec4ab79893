//! The other shape of protocol, to show that the trait carries it: one login that subscribes and authorizes, whose reply
//! brings the first job with its target, as CryptoNote's miners speak. The target is each connection's own, so nothing
//! is cached; there is no extranonce and no difficulty on the wire.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

mod rig;

use bytes::Bytes;
use pool_core::id::JobId;
use pool_core::limits::Limits;
use pool_core::share::Reject;
use pool_core::time::Micros;
use pool_core::units::{Target, Work};
use pool_stratum::dialect::{Call, Dialect, ExtranonceMoment, Garbage, Message, Peer, Request, RequestId};
use pool_stratum::jobs::Posted;
use pool_stratum::session::Outcome;
use rig::{Rig, difficulty};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Debug)]
struct Blob {
    id: JobId,
    blob: u8,
}

#[derive(Debug)]
struct LoginStyle;

#[derive(serde::Deserialize)]
struct Line<'a> {
    id: u64,
    method: &'a str,
    #[serde(borrow)]
    params: BTreeMap<&'a str, &'a str>,
}

impl LoginStyle {
    fn job(posted: &Posted<Self>, work: Work) -> String {
        let target = Target::from_work(work).to_string();
        format!(r#"{{"job_id":"{}","blob":"{:02x}","target":"{target}"}}"#, posted.id(), posted.job().blob)
    }
}

impl Dialect for LoginStyle {
    type Job = Blob;
    type Solution = u32;
    type Profile = ();
    const FORMS: usize = 0;

    fn job_id(job: &Blob) -> JobId {
        job.id
    }

    fn same_work(one: &Blob, other: &Blob) -> bool {
        one.blob == other.blob
    }

    fn retires_older(_job: &Blob) -> bool {
        true
    }

    fn profile(&self, _agent: &str) {}

    fn power_of_two(&self, (): ()) -> bool {
        false
    }

    fn extranonce_moment(&self, (): ()) -> ExtranonceMoment {
        ExtranonceMoment::Authorized
    }

    fn parse<'a>(
        &self,
        _: &Limits,
        _: &Peer<()>,
        line: &'a [u8],
    ) -> Result<Call<'a, u32>, (RequestId, Garbage)> {
        let Line { id, method, params } =
            serde_json::from_slice(line).map_err(|_| (RequestId::Null, Garbage::NotJson))?;
        let text = |key: &str| params.get(key).copied().unwrap_or_default();
        let request = match method {
            "login" => Request::Login {
                agent: text("agent").into(),
                user: text("login").into(),
                password: text("pass").into(),
            },
            "submit" => Request::Submit {
                user: "".into(),
                answer: match (text("job_id").parse(), u32::from_str_radix(text("nonce"), 16)) {
                    (Ok(job), Ok(nonce)) => Ok((JobId::new(job), nonce)),
                    _ => Err(Reject::Malformed),
                },
            },
            "keepalived" => Request::Courtesy,
            _ => Request::Unknown,
        };
        Ok(Call { id: RequestId::Number(id), request })
    }

    fn render(&self, _: &Peer<()>, message: Message<'_, Self>, out: &mut Vec<u8>) {
        let mut reply = |id: &RequestId, result: &str, error: &str| {
            out.extend_from_slice(b"{\"id\":");
            id.write(out);
            out.extend_from_slice(format!(",\"result\":{result},\"error\":{error}}}\n").as_bytes());
        };
        match message {
            Message::LoggedIn { id, first } => {
                let job = first.map_or("null".into(), |(posted, work)| Self::job(posted, work));
                reply(id, &format!(r#"{{"id":"m","job":{job},"status":"OK"}}"#), "null");
            }
            Message::Done { id } | Message::Subscribed { id } => reply(id, r#"{"status":"OK"}"#, "null"),
            Message::Refused { id, reject, why } => {
                let text = why.map_or_else(|| reject.to_string(), str::to_owned);
                reply(id, "null", &format!(r#"{{"code":-1,"message":"{text}"}}"#));
            }
            Message::SetExtranonce | Message::SetDifficulty(_) | Message::Show(_) | Message::Reconnect => {}
        }
    }

    fn notify(&self, _: &Peer<()>, posted: &Posted<Self>, work: Work) -> Bytes {
        format!("{{\"method\":\"job\",\"params\":{}}}\n", Self::job(posted, work)).into()
    }

    fn share_target(&self, work: Work) -> Target {
        Target::from_work(work)
    }

    fn password_work(&self, _password: &str) -> Option<Work> {
        None
    }
}

#[test]
fn one_login_brings_the_first_job() {
    let mut rig = Rig::new(LoginStyle, Limits::default(), Micros::from_secs(60), |_| {});
    rig.publish(Arc::new(Blob { id: JobId::new(1), blob: 7 }));
    rig.line(r#"{"id":1,"method":"login","params":{"login":"account.rig","pass":"x","agent":"xmr"}}"#);
    rig.log_in(None);
    let target = Target::from_work(difficulty(8192));
    let job = |id, blob| format!(r#"{{"job_id":"{id}","blob":"{blob}","target":"{target}"}}"#);
    let welcome =
        format!(r#"{{"id":1,"result":{{"id":"m","job":{},"status":"OK"}},"error":null}}"#, job(1, "07"));
    assert_eq!(rig.said, [welcome]);
    rig.said.clear();
    rig.line(r#"{"id":2,"method":"submit","params":{"job_id":"1","nonce":"ff"}}"#);
    assert_eq!((rig.proofs[0].solution, rig.proofs[0].share_target), (255, target));
    rig.settle(Outcome::Accepted);
    rig.publish(Arc::new(Blob { id: JobId::new(2), blob: 8 }));
    rig.line(r#"{"id":3,"method":"submit","params":{"job_id":"1","nonce":"fe"}}"#);
    rig.line(r#"{"id":4,"method":"keepalived","params":{}}"#);
    assert_eq!(
        rig.said,
        [
            r#"{"id":2,"result":{"status":"OK"},"error":null}"#.to_owned(),
            format!(r#"{{"method":"job","params":{}}}"#, job(2, "08")),
            r#"{"id":3,"result":null,"error":{"code":-1,"message":"stale job"}}"#.to_owned(),
            r#"{"id":4,"result":{"status":"OK"},"error":null}"#.to_owned(),
        ]
    );
}
