//! Dynex: the login dialect of CryptoNote pools, in the two generations that its useful-work protocol had in public.
//!
//! One `login` whose reply carries the first job; `job` notifications; `submit`, `getjob`, `keepalived`. Each
//! connection hashes a blob of its own: its extranonce is in the coinbase, so a job is rendered per connection and no
//! two connections can find the same solution. What differs between the generations is where a miner says which
//! useful-work network id it has and by which algorithm it mines:
//!
//! - **v230**: `algo`, `mallob` and `POUW_DATA` come with every submit;
//! - **v235**: `algo` and `mallob_id` come with the login, `POUW_DATA` with every submit, and there is a method
//!   `mallob`, whose opaque payload is passed to the useful-work service and back.
//!
//! They are told apart per connection by the first line. A second login on one connection keeps the first one's network
//! id, and its shares are the first one's, because a submit names nobody: who changes connects anew, as the miners do.
//!
//! Nothing of the useful work is understood here, and nothing can be: it is encrypted. Its size is bounded, it is kept
//! apart from the solution ([`Pouw`]) and handed on once.
//!
//! Replies are `{"id":…,"jsonrpc":"2.0","error":null,"result":…}`; the reference miner reads its session's id from
//! inside of the job and stops at a job without all four members. Errors are `{"code":…,"message":…}` with the texts
//! that miners and operators of this chain know. Sources: the miner's `dynexservice` (2.2), the pools
//! cryptonote-nodejs-pool and Dynex-Miningcore (behaviour); read and not run, so what no source shows is configuration.

pub mod account;
pub mod mallob;
pub mod target;

use super::{Call, Dialect, ExtranonceMoment, Garbage, Message, Peer, Request, RequestId};
use crate::jobs::Posted;
use crate::json::{self, Members, push_hex, push_number, push_string};
use account::Account;
use bytes::Bytes;
pub use mallob::{MallobId, Question};
use pool_core::id::JobId;
use pool_core::limits::Limits;
use pool_core::share::Reject;
use pool_core::units::{Target, Work};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};
pub use target::{TargetForm, share_target};

/// The code of [`Reject::Unattested`] for a share without a useful-work network id; no service is asked.
pub const NO_MALLOB: u16 = 1;
/// The code of [`Reject::Unattested`] for a share by an algorithm that the pool does not take; no service is asked.
pub const OTHER_ALGORITHM: u16 = 2;
/// The service's own code for useful-work data that do not verify; also for data too long to be any.
pub const POUW_FAILED: u16 = 500;

/// What a notification says of a job, beside its blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DynexWork {
    /// What miners call it.
    pub id: JobId,
    /// The height of the block to be found.
    pub height: u64,
    /// The chain has moved on: older jobs are worthless.
    pub clean: bool,
}

/// A job that Dynex's miners can be told of.
pub trait DynexPuzzle: fmt::Debug + Send + Sync + 'static {
    /// What to tell.
    fn work(&self) -> DynexWork;

    /// What a connection with this extranonce hashes: 76 bytes or a few more, the four from 39 on zero for the nonce.
    fn blob(&self, extranonce: u32) -> Vec<u8>;
}

/// What a miner found. Equal solutions are those of one extranonce and nonce, whatever is claimed about them: that is
/// the duplicate key, and claims must not make a new solution out of an old one.
#[derive(Clone, Debug)]
pub struct DynexSolution {
    /// The connection's part of the coinbase.
    pub extranonce: u32,
    /// The four bytes from 39 of the blob on.
    pub nonce: [u8; 4],
    /// The hash that the miner says comes out, in its bytes' order.
    pub result: [u8; 32],
    /// What it says of useful work.
    pub pouw: Pouw,
}

impl DynexSolution {
    const fn key(&self) -> (u32, [u8; 4]) {
        (self.extranonce, self.nonce)
    }
}

impl PartialEq for DynexSolution {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for DynexSolution {}

impl PartialOrd for DynexSolution {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DynexSolution {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// A claim of useful work, shared by all clones of one solution, until somebody takes it.
///
/// Sessions remember solutions long after they were paid; the claim, which may be thousands of times larger, goes with
/// whoever verifies it.
#[derive(Clone, Default)]
pub struct Pouw(Arc<Mutex<Option<Box<PouwClaim>>>>);

/// What a miner says of its useful work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PouwClaim {
    /// The network id, as sent.
    pub mallob: MallobId,
    /// The opaque data, as sent.
    pub data: String,
}

impl Pouw {
    /// A claim to be taken.
    #[must_use]
    pub fn new(claim: PouwClaim) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::new(claim)))))
    }

    /// Takes the claim away from all clones; `None` when it was taken, or none was made.
    #[must_use]
    pub fn take(&self) -> Option<PouwClaim> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().map(|claim| *claim)
    }
}

impl fmt::Debug for Pouw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let claim = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*claim {
            Some(claim) => write!(f, "Pouw({} bytes)", claim.data.len()),
            None => f.write_str("Pouw(none)"),
        }
    }
}

/// Which of the two public protocols a miner speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Generation {
    /// 2.3.0 and before: everything comes with the submit.
    #[default]
    V230,
    /// 2.3.5: network id and algorithm come with the login.
    V235,
}

/// What is known of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Its protocol.
    pub generation: Generation,
    /// The network id it logged in with.
    pub mallob: Option<MallobId>,
}

/// What a pool takes. All of it is configuration, because every miner release has changed some of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DynexRules {
    /// Algorithm names taken in submits of v230.
    pub algorithms_v230: Vec<String>,
    /// Algorithm names taken in logins of v235.
    pub algorithms_v235: Vec<String>,
    /// The longest useful-work data taken. Unit: bytes. A line must be allowed to be longer than this.
    pub pouw_bytes_max: usize,
    /// Refuse shares without a network id, unseen by any service.
    pub mallob_required: bool,
    /// How targets are written.
    pub target: TargetForm,
}

impl Default for DynexRules {
    /// The names of the last public releases of each generation, 64 KiB, network ids required, targets of 32 bits.
    fn default() -> Self {
        Self {
            algorithms_v230: vec!["dynexsolve230".into()],
            algorithms_v235: vec!["dynexsolve235".into()],
            pouw_bytes_max: 64 * 1024,
            mallob_required: true,
            target: TargetForm::Bits32,
        }
    }
}

/// Dynex's dialect for jobs of type `J`.
pub struct Dynex<J> {
    rules: DynexRules,
    job: PhantomData<fn() -> J>,
}

impl<J> Dynex<J> {
    /// The dialect of a pool with these rules.
    #[must_use]
    pub const fn new(rules: DynexRules) -> Self {
        Self { rules, job: PhantomData }
    }
}

impl<J> Default for Dynex<J> {
    fn default() -> Self {
        Self::new(DynexRules::default())
    }
}

impl<J> fmt::Debug for Dynex<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dynex").field("rules", &self.rules).finish()
    }
}

/// Code and text of an error reply.
fn error_of(reject: Reject) -> (i8, Cow<'static, str>) {
    match reject {
        Reject::UnknownJob => (21, "invalid jobid".into()),
        Reject::Stale => (21, "Block expired".into()),
        Reject::Duplicate => (22, "duplicate share".into()),
        Reject::LowDifficulty => (23, "low difficulty share".into()),
        Reject::Unauthorized | Reject::NotSubscribed => (24, "unauthorized".into()),
        Reject::BadAddress => (-1, "invalid login".into()),
        Reject::BadNonce => (20, "malformed nonce".into()),
        Reject::WrongResult => (20, "Rejected share: invalid result".into()),
        Reject::UnknownMethod => (-1, "Invalid method".into()),
        Reject::Unattested { code: NO_MALLOB } => (20, "missing mallob id".into()),
        Reject::Unattested { code: OTHER_ALGORITHM } => (20, "Incorrect algo".into()),
        Reject::Unattested { code: 414 } => (20, "414 Mallob verification failed".into()),
        Reject::Unattested { code: 499 } => (20, "499 Checkhash Failed".into()),
        Reject::Unattested { code: POUW_FAILED } => (20, "500 POUW data verification failed".into()),
        Reject::Unattested { code } => (20, format!("Invalid share Err#{code}").into()),
        other => (20, other.to_string().into()),
    }
}

/// Begins a reply up to its result.
fn begin(out: &mut Vec<u8>, id: &RequestId) {
    out.extend_from_slice(b"{\"id\":");
    id.write(out);
    out.extend_from_slice(b",\"jsonrpc\":\"2.0\",\"error\":null,\"result\":");
}

fn refuse(out: &mut Vec<u8>, id: &RequestId, code: i8, message: &str) {
    out.extend_from_slice(b"{\"id\":");
    id.write(out);
    out.extend_from_slice(b",\"jsonrpc\":\"2.0\",\"error\":{\"code\":");
    out.extend_from_slice(code.to_string().as_bytes());
    out.extend_from_slice(b",\"message\":");
    push_string(out, message);
    out.extend_from_slice(b"}}\n");
}

/// A refusal of a login that is nobody's fault but is no login either.
fn refusal(id: &RequestId, message: &str) -> Vec<u8> {
    let mut line = Vec::with_capacity(96);
    refuse(&mut line, id, -1, message);
    line
}

fn hex_array<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

impl<J: DynexPuzzle> Dynex<J> {
    fn write_job(&self, peer: &Peer<Profile>, posted: &Posted<Self>, work: Work, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"job_id\":\"");
        push_number(out, posted.id().get());
        out.extend_from_slice(b"\",\"id\":\"");
        out.extend_from_slice(peer.extranonce.to_string().as_bytes());
        out.extend_from_slice(b"\",\"blob\":\"");
        push_hex(out, &posted.job().blob(peer.extranonce.value()));
        out.extend_from_slice(b"\",\"target\":\"");
        self.rules.target.write(work, out);
        out.extend_from_slice(b"\"}");
    }

    fn parse_login<'a>(&self, id: &RequestId, members: &Members<'a>) -> Request<'a, DynexSolution> {
        let said = Self::said_at_login(members);
        if said.generation == Generation::V235 {
            let algorithm = members.text("algo").unwrap_or_default();
            if !self.rules.algorithms_v235.iter().any(|known| *known == *algorithm) {
                return Request::Reply(refusal(id, "Incorrect algo"));
            }
            if said.mallob.is_none() && self.rules.mallob_required {
                return Request::Reply(refusal(id, "missing mallob id"));
            }
        }
        let login = members.text("login").unwrap_or_default();
        if login.trim().is_empty() {
            return Request::Reply(refusal(id, "missing login"));
        }
        let password = members.text("pass").unwrap_or_default();
        let account = match Account::parse(&login, &password) {
            Ok(account) => account,
            Err(error) => return Request::Reply(refusal(id, &error.to_string())),
        };
        Request::Login {
            agent: members.text("agent").unwrap_or_default(),
            user: Cow::Owned(account.user()),
            password: Cow::Owned(account.password(&password)),
        }
    }

    /// What a login's parameters say of the protocol.
    fn said_at_login(members: &Members<'_>) -> Profile {
        let mallob = members.text("mallob_id");
        let is_new = mallob.is_some() || members.raw("algo").is_some();
        Profile {
            generation: if is_new { Generation::V235 } else { Generation::V230 },
            mallob: mallob.and_then(|id| MallobId::new(&id)),
        }
    }

    fn parse_submit<'a>(
        &self,
        peer: &Peer<Profile>,
        members: &Members<'a>,
    ) -> Result<Request<'a, DynexSolution>, Garbage> {
        let text = |name: &str, garbage| members.text(name).ok_or(Garbage::Shape(garbage));
        let job = members.text_or_number("job_id").ok_or(Garbage::Shape("submit needs a job_id"))?;
        let nonce = text("nonce", "submit needs a nonce, a string")?;
        let result = text("result", "submit needs a result, a string")?;
        let data = members.text("POUW_DATA").unwrap_or_default();
        let answer = || {
            let digits = !job.is_empty() && job.bytes().all(|byte| byte.is_ascii_digit());
            let job = if digits { job.parse().ok() } else { None }.ok_or(Reject::UnknownJob)?;
            let nonce = hex_array(&nonce).ok_or(Reject::BadNonce)?;
            let result = hex_array(&result).ok_or(Reject::WrongResult)?;
            let mallob = self.parse_claim(peer, members)?;
            if data.len() > self.rules.pouw_bytes_max {
                return Err(Reject::Unattested { code: POUW_FAILED });
            }
            let pouw = Pouw::new(PouwClaim { mallob, data: data.into_owned() });
            let extranonce = peer.extranonce.value();
            Ok((JobId::new(job), DynexSolution { extranonce, nonce, result, pouw }))
        };
        Ok(Request::Submit { user: Cow::Borrowed(""), answer: answer() })
    }

    /// The network id that a submit goes by, and whether its algorithm is one of the pool's.
    fn parse_claim(&self, peer: &Peer<Profile>, members: &Members<'_>) -> Result<MallobId, Reject> {
        let said = match peer.profile.generation {
            Generation::V235 => peer.profile.mallob,
            Generation::V230 => {
                let algorithm = members.text("algo").unwrap_or_default();
                if !self.rules.algorithms_v230.iter().any(|known| *known == *algorithm) {
                    return Err(Reject::Unattested { code: OTHER_ALGORITHM });
                }
                members.text("mallob").and_then(|id| MallobId::new(&id))
            }
        };
        match said {
            Some(id) => Ok(id),
            None if self.rules.mallob_required => Err(Reject::Unattested { code: NO_MALLOB }),
            None => Ok(MallobId::default()),
        }
    }
}

impl<J: DynexPuzzle> Dialect for Dynex<J> {
    type Job = J;
    type Solution = DynexSolution;
    type Profile = Profile;
    // Every connection hashes a blob of its own.
    const FORMS: usize = 0;

    fn job_id(job: &J) -> JobId {
        job.work().id
    }

    fn same_work(one: &J, other: &J) -> bool {
        one.work().height == other.work().height && one.blob(0) == other.blob(0)
    }

    fn retires_older(job: &J) -> bool {
        job.work().clean
    }

    fn hail(&self, first_line: &[u8]) -> Profile {
        match json::envelope_with_members(first_line, &Limits::default()) {
            Ok((json::Envelope { method: Some(method), .. }, Some(members))) if method == "login" => {
                Self::said_at_login(&members)
            }
            _ => Profile::default(),
        }
    }

    fn profile(&self, hailed: Profile, _agent: &str) -> Profile {
        hailed
    }

    fn subscribes(&self, _profile: Profile) -> bool {
        false
    }

    fn power_of_two(&self, _profile: Profile) -> bool {
        false
    }

    fn extranonce_moment(&self, _profile: Profile) -> ExtranonceMoment {
        ExtranonceMoment::Authorized
    }

    fn parse<'a>(
        &self,
        limits: &Limits,
        peer: &Peer<Profile>,
        line: &'a [u8],
    ) -> Result<Call<'a, DynexSolution>, (RequestId, Garbage)> {
        let (json::Envelope { id, method, .. }, members) = json::envelope_with_members(line, limits)?;
        let Some(method) = method else {
            return Ok(Call { id, request: Request::Response });
        };
        let members = members.unwrap_or_default();
        let request = match &*method {
            "submit" => match self.parse_submit(peer, &members) {
                Ok(request) => request,
                Err(garbage) => return Err((id, garbage)),
            },
            "login" => self.parse_login(&id, &members),
            "getjob" => Request::Poll,
            "keepalived" => {
                let mut line = Vec::with_capacity(96);
                begin(&mut line, &id);
                line.extend_from_slice(b"{\"status\":\"KEEPALIVED\"}}\n");
                Request::Reply(line)
            }
            "mallob" => match (members.text("payload"), peer.profile.mallob) {
                (None, _) => return Err((id, Garbage::Shape("mallob needs a payload, a string"))),
                (Some(payload), Some(mallob)) if payload.len() <= self.rules.pouw_bytes_max => Request::Ask {
                    payload: Cow::Owned(Question { mallob, payload: payload.into() }.to_text()),
                },
                (Some(_), Some(_)) => Request::Reply(refusal(&id, "payload too long")),
                (Some(_), None) => Request::Reply(refusal(&id, "missing mallob id")),
            },
            _ => Request::Unknown,
        };
        Ok(Call { id, request })
    }

    fn render(&self, peer: &Peer<Profile>, message: Message<'_, Self>, out: &mut Vec<u8>) {
        match message {
            Message::LoggedIn { id, first: Some((posted, work)) } => {
                begin(out, id);
                out.extend_from_slice(b"{\"id\":\"");
                out.extend_from_slice(peer.extranonce.to_string().as_bytes());
                out.extend_from_slice(b"\",\"job\":");
                self.write_job(peer, posted, work, out);
                out.extend_from_slice(b",\"status\":\"OK\"}}\n");
            }
            Message::Work { id, job: Some((posted, work)) } => {
                begin(out, id);
                self.write_job(peer, posted, work, out);
                out.extend_from_slice(b"}\n");
            }
            // A reply without a job ends the reference miner; an error makes it log in again.
            Message::LoggedIn { id, first: None } | Message::Work { id, job: None } => {
                let (code, text) = error_of(Reject::NoWork);
                refuse(out, id, code, &text);
            }
            Message::Done { id }
            | Message::Subscribed { id }
            | Message::Welcome { id }
            | Message::Authorized { id, .. } => {
                begin(out, id);
                out.extend_from_slice(b"{\"status\":\"OK\"}}\n");
            }
            Message::Told { id, payload } => {
                begin(out, id);
                out.extend_from_slice(b"{\"id\":\"1\",\"mallob\":{\"payload\":");
                // Passed on unchanged, so escaped and not cleaned.
                let payload = serde_json::to_string(payload).expect("a text is JSON");
                out.extend_from_slice(payload.as_bytes());
                out.extend_from_slice(b"}}}\n");
            }
            Message::Refused { id, reject, why } => {
                let (code, text) = error_of(reject);
                refuse(out, id, code, why.unwrap_or(&text));
            }
            // Work is told with the job, the extranonce is in its blob, and there are no words for the rest.
            Message::SetExtranonce | Message::SetDifficulty(_) | Message::Show(_) | Message::Reconnect => {}
        }
    }

    fn notify(&self, peer: &Peer<Profile>, posted: &Posted<Self>, work: Work) -> Bytes {
        let mut out = Vec::with_capacity(320);
        out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"method\":\"job\",\"params\":");
        self.write_job(peer, posted, work, &mut out);
        out.extend_from_slice(b"}\n");
        out.into()
    }

    fn share_target(&self, work: Work) -> Target {
        self.rules.target.share_target(work)
    }

    fn password_work(&self, password: &str) -> Option<Work> {
        account::password_work(password)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extranonce::Extranonce;
    use proptest::prelude::*;

    #[derive(Debug)]
    struct Blob;

    impl DynexPuzzle for Blob {
        fn work(&self) -> DynexWork {
            DynexWork { id: JobId::new(1), height: 5, clean: false }
        }

        fn blob(&self, extranonce: u32) -> Vec<u8> {
            vec![extranonce as u8; 76]
        }
    }

    fn dialect() -> Dynex<Blob> {
        Dynex::default()
    }

    fn peer(profile: Profile) -> Peer<Profile> {
        Peer { profile, extranonce: Extranonce::new(7, 4).unwrap() }
    }

    fn v235() -> Profile {
        Profile { generation: Generation::V235, mallob: MallobId::new("ab12") }
    }

    fn submit(profile: Profile, members: &str) -> Result<Result<(JobId, DynexSolution), Reject>, Garbage> {
        let line = format!(r#"{{"id":4,"jsonrpc":"2.0","method":"submit","params":{{{members}}}}}"#);
        match dialect().parse(&Limits::default(), &peer(profile), line.as_bytes()) {
            Ok(Call { request: Request::Submit { answer, .. }, .. }) => Ok(answer),
            Ok(other) => panic!("{other:?}"),
            Err((_, garbage)) => Err(garbage),
        }
    }

    #[test]
    fn both_generations_say_where_their_evidence_is() {
        let result = "cd".repeat(32);
        let common =
            format!(r#""id":"x","job_id":"3","nonce":"0100000A","result":"{result}","POUW_DATA":"d\\t"#);
        let common = common.replace(r"\\t", r"\u0041");
        let old = format!(r#"{common}","algo":"dynexsolve230","mallob":"ff00""#);
        for (profile, members, mallob) in
            [(Profile::default(), old, "ff00"), (v235(), format!("{common}\""), "ab12")]
        {
            let (job, solution) = submit(profile, &members).unwrap().unwrap();
            assert_eq!((job.get(), solution.extranonce, solution.nonce), (3, 7, [1, 0, 0, 10]));
            assert_eq!(solution.result, [0xcd; 32]);
            let twin = solution.clone();
            let claim = solution.pouw.take().unwrap();
            assert_eq!((claim.mallob.as_str(), &*claim.data), (mallob, "dA"));
            assert_eq!(twin.pouw.take(), None, "it is taken once, from all clones");
            assert_eq!(twin, solution);
        }
    }

    #[test]
    fn what_a_submit_lacks_is_said() {
        let result = "cd".repeat(32);
        let whole = format!(
            r#""job_id":"3","nonce":"01000000","result":"{result}","algo":"dynexsolve230","mallob":"ff""#
        );
        let old = Profile::default();
        assert!(submit(old, &whole).unwrap().is_ok());
        let changed = |from: &str, to: &str| submit(old, &whole.replace(from, to)).unwrap().unwrap_err();
        assert_eq!(changed("dynexsolve230", "dynexsolve"), Reject::Unattested { code: OTHER_ALGORITHM });
        assert_eq!(changed(r#""mallob":"ff""#, r#""mallob":"""#), Reject::Unattested { code: NO_MALLOB });
        assert_eq!(changed(r#""01000000""#, r#""010000""#), Reject::BadNonce);
        assert_eq!(changed(r#""01000000""#, r#""0x010000""#), Reject::BadNonce);
        assert_eq!(changed(&result, "cd"), Reject::WrongResult);
        for job in ["", "x", "-1", "18446744073709551616"] {
            assert_eq!(changed(r#""3""#, &format!("\"{job}\"")), Reject::UnknownJob, "{job}");
        }
        let long = format!(r#"{whole},"POUW_DATA":"{}""#, "a".repeat(64 * 1024 + 1));
        assert_eq!(submit(old, &long).unwrap().unwrap_err(), Reject::Unattested { code: POUW_FAILED });
        for name in ["job_id", "nonce", "result"] {
            assert!(submit(old, &whole.replace(name, "other")).is_err(), "{name}");
        }
        let without = Profile { generation: Generation::V235, mallob: None };
        assert_eq!(submit(without, &whole).unwrap().unwrap_err(), Reject::Unattested { code: NO_MALLOB });
    }

    #[test]
    fn solutions_differ_by_extranonce_and_nonce_alone() {
        let one = DynexSolution { extranonce: 1, nonce: [2; 4], result: [0; 32], pouw: Pouw::default() };
        let claim = PouwClaim { mallob: MallobId::default(), data: "x".into() };
        let same = DynexSolution { result: [9; 32], pouw: Pouw::new(claim), ..one.clone() };
        assert_eq!((one == same, one.cmp(&same)), (true, std::cmp::Ordering::Equal));
        assert_ne!(one, DynexSolution { extranonce: 2, ..one.clone() });
        assert_ne!(one, DynexSolution { nonce: [3; 4], ..one.clone() });
        assert!(format!("{same:?}").contains("1 bytes"));
    }

    #[test]
    fn the_first_line_tells_the_generation() {
        let hail = |params: &str| {
            dialect().hail(format!(r#"{{"id":1,"method":"login","params":{params}}}"#).as_bytes())
        };
        assert_eq!(hail(r#"{"login":"a","pass":"x"}"#), Profile::default());
        let new = hail(r#"{"login":"a","mallob_id":"ab12","algo":"dynexsolve235"}"#);
        assert_eq!(new, v235());
        assert_eq!(hail(r#"{"login":"a","algo":"dynexsolve235"}"#).generation, Generation::V235);
        for line in [&b""[..], b"{", b"[]", br#"{"method":"submit","params":{"mallob_id":"a"}}"#] {
            assert_eq!(dialect().hail(line), Profile::default());
        }
    }

    #[test]
    fn what_the_service_says_is_passed_on_unchanged() {
        let mut out = Vec::new();
        let told = Message::Told { id: &RequestId::Number(9), payload: "a\n\"\\\u{1}é" };
        dialect().render(&peer(v235()), told, &mut out);
        let line: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(line["result"]["mallob"]["payload"], "a\n\"\\\u{1}é");
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(line: Vec<u8>) {
            let _ = dialect().parse(&Limits::default(), &peer(Profile::default()), &line);
            let _ = dialect().hail(&line);
        }

        #[test]
        fn no_parameters_make_the_parser_panic(
            method in "(login|submit|getjob|keepalived|mallob|x)",
            members in proptest::collection::vec(
                ("(id|job_id|nonce|result|algo|mallob|mallob_id|POUW_DATA|login|pass|payload)", "(\"[ -~é]{0,90}\"|[0-9]{1,30}|null|\\{\\}|\\[1\\])"),
                0..14,
            ),
        ) {
            let members: Vec<String> =
                members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            let line = format!(r#"{{"id":1,"method":"{method}","params":{{{}}}}}"#, members.join(","));
            for profile in [Profile::default(), v235()] {
                let _ = dialect().parse(&Limits::default(), &peer(profile), line.as_bytes());
            }
        }
    }
}
