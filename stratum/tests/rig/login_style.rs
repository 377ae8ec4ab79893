//! The other shape of protocol: one login that subscribes and authorizes, whose reply brings the first job with its
//! target, as CryptoNote's miners speak. The target is each connection's own, so nothing is cached; there is no
//! extranonce and no difficulty on the wire.

use bytes::Bytes;
use pool_core::id::JobId;
use pool_core::limits::Limits;
use pool_core::share::Reject;
use pool_core::units::{Target, Work};
use pool_stratum::dialect::{Call, Dialect, ExtranonceMoment, Garbage, Message, Peer, Request, RequestId};
use pool_stratum::jobs::Posted;
use std::collections::BTreeMap;

#[derive(Debug)]
pub struct Blob {
    pub id: JobId,
    pub blob: u8,
}

#[derive(Debug)]
pub struct LoginStyle;

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
    const SHARED_SPACE: bool = true;

    fn job_id(job: &Blob) -> JobId {
        job.id
    }

    fn same_work(one: &Blob, other: &Blob) -> bool {
        one.blob == other.blob
    }

    fn retires_older(_job: &Blob) -> bool {
        true
    }

    fn hail(&self, _first_line: &[u8]) {}

    fn profile(&self, (): (), _agent: &str) {}

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
                user: text("by").into(),
                answer: match (text("job_id").parse(), u32::from_str_radix(text("nonce"), 16)) {
                    (Ok(job), Ok(nonce)) => Ok((JobId::new(job), nonce)),
                    _ => Err(Reject::Malformed),
                },
            },
            "keepalived" => Request::Courtesy,
            "getjob" => Request::Poll,
            "service" => Request::Ask { payload: text("payload").into() },
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
            Message::Done { id }
            | Message::Subscribed { id }
            | Message::Welcome { id }
            | Message::Authorized { id, .. } => reply(id, r#"{"status":"OK"}"#, "null"),
            Message::Told { id, payload } => reply(id, &format!("\"{payload}\""), "null"),
            Message::Work { id, job } => {
                let job = job.map_or("null".into(), |(posted, work)| Self::job(posted, work));
                reply(id, &job, "null");
            }
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

    fn http_login(&self, path: &str) -> Option<Vec<u8>> {
        let user = path.strip_prefix('/').filter(|user| !user.is_empty())?;
        Some(
            format!(r#"{{"id":0,"method":"login","params":{{"login":"{user}","pass":"x","agent":"http"}}}}"#)
                .into(),
        )
    }

    fn names(&self, (): (), worker: usize, user: &str) -> bool {
        user == format!("w-{worker}")
    }

    fn share_target(&self, work: Work) -> Target {
        Target::from_work(work)
    }

    fn password_work(&self, _password: &str) -> Option<Work> {
        None
    }
}
