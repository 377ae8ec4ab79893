//! Alephium: JSON lines whose jobs and submits are objects, and two grammars beside that.
//!
//! - [`Grammar::Official`]: the official pool's. A miner begins with `mining.authorize` or `mining.subscribe`; jobs are
//!   one object in the parameters; a submit is an object with the whole nonce.
//! - [`Grammar::Miningcore`]: the same with a `mining.hello` before, `"error":null` in every reply (rental services
//!   insist on it), a difficulty before every job, and no height in jobs.
//! - [`Grammar::Stratum1`]: "AlephiumStratum/1.0.0" as its document writes it, after EIP-1571: ids are strings, targets
//!   instead of difficulties, bare strings as parameters, jobs as lists.
//!
//! All three are told apart on one port by the first line: `mining.hello` with a string for an id is the document's,
//! with a number the second one's, anything else the official pool's. What a submit looks like is not held against
//! anybody: objects and lists are read in every grammar, with the nonce whole or without its prefix, with `0x` or
//! without, with group numbers as numbers or text.
//!
//! A pool's job is the newest template of every chain ([`AlephiumPuzzle`]), and one connection is told one chain of
//! it: which one changes from job to job and from connection to connection, so that all chains are mined alike. The
//! name that miners give back, a number in hexadecimal, is the job's number with the chain as its last digit.
//!
//! Error codes are the official pool's: 20 job, 21 job's chain, 22 worker, 23 nonce, 24 duplicate, 25 difficulty, 26
//! the hash's chain. IceRiver's firmware was seen to answer with a job id it was never given: from a connection whose agent
//! says so, a submit that names its groups is then tried on the newest job of that chain which the connection had, once.
//!
//! Source: alephium/mining-pool, `lib/{stratum,jobManager,pool}.js`; alephium/docs, `docs/mining/alephium-stratum.md`;
//! blackmennewstyle/miningcore, `Blockchain/Alephium` (behaviour of all three).

pub mod difficulty;

use super::{Call, Dialect, ExtranonceMoment, Garbage, Message, Peer, Request, RequestId};
use crate::extranonce::Extranonce;
use crate::jobs::Posted;
use crate::json::{self, push_hex, push_number, push_string};
use bytes::Bytes;
use pool_core::id::JobId;
use pool_core::limits::Limits;
use pool_core::share::Reject;
use pool_core::units::{Target, Work};
use serde::Deserialize;
use std::cmp::Ordering;
use std::fmt;
use std::marker::PhantomData;

/// Chains of the network.
const CHAINS: u64 = 16;
/// Bytes of a nonce.
const NONCE_LEN: usize = 24;
/// The protocol's name in greetings.
const PROTOCOL: &str = "AlephiumStratum/1.0.0";

/// What a notification says of one chain of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlephiumWork<'a> {
    /// The header without its nonce.
    pub blob: &'a [u8; 302],
    /// The block's height; 0 where the node does not say.
    pub height: u32,
}

/// A job that Alephium's miners can be told of: the newest template of every chain.
pub trait AlephiumPuzzle: fmt::Debug + Send + Sync + 'static {
    /// Its number.
    fn id(&self) -> JobId;

    /// The chains worth mining, by their places `0..16`, ascending. Not empty.
    fn live(&self) -> &[u8];

    /// The template of a chain, if the job has one.
    fn work(&self, chain: u8) -> Option<AlephiumWork<'_>>;
}

/// What a miner found.
///
/// Two solutions of the same work are the same when their nonces are: the order and equality of this type look at
/// nothing else. The chain takes no part, for it is named by the job's id, and within jobs that are the same work no
/// nonce honestly solves two chains.
#[derive(Clone, Copy, Debug)]
pub struct AlephiumSolution {
    /// The chain it is for, `0..16`.
    pub chain: u8,
    /// The whole nonce, extranonce included.
    pub nonce: [u8; NONCE_LEN],
}

impl PartialEq for AlephiumSolution {
    fn eq(&self, other: &Self) -> bool {
        self.nonce == other.nonce
    }
}

impl Eq for AlephiumSolution {}

impl PartialOrd for AlephiumSolution {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for AlephiumSolution {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nonce.cmp(&other.nonce)
    }
}

/// Which of the three a connection speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grammar {
    /// The official pool's.
    #[default]
    Official,
    /// With a greeting, as miningcore speaks it.
    Miningcore,
    /// The document's.
    Stratum1,
}

/// The id of no job.
const NO_JOB: JobId = JobId::new(u64::MAX);

/// What is decided per connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// The grammar.
    pub grammar: Grammar,
    /// Its job ids may be wrong, and its groups are right.
    pub mixes_ids: bool,
}

/// Alephium's dialect for jobs of type `J`.
pub struct Alephium<J> {
    job: PhantomData<fn() -> J>,
}

impl<J> Default for Alephium<J> {
    fn default() -> Self {
        Self { job: PhantomData }
    }
}

impl<J> fmt::Debug for Alephium<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Alephium")
    }
}

/// The chain of a job that a connection is told: another one for each job and each connection.
#[must_use]
pub fn chain_for<J: AlephiumPuzzle>(job: &J, extranonce: Extranonce) -> u8 {
    let live = job.live();
    let turn = u64::from(extranonce.value()).wrapping_add(job.id().get()) % live.len().max(1) as u64;
    live.get(turn as usize).copied().unwrap_or(0)
}

/// Code and text of an error reply.
fn error_of(reject: Reject) -> (u64, String) {
    let (code, text) = match reject {
        Reject::UnknownJob => (20, "job not found"),
        Reject::ForeignChain => (21, "invalid job chain index"),
        Reject::BadAddress | Reject::Unauthorized => (22, "invalid worker"),
        Reject::BadNonce => (23, "invalid nonce"),
        Reject::ForeignExtranonce => (23, "invalid nonce: it does not begin with your extranonce"),
        Reject::Duplicate => (24, "duplicated share"),
        Reject::LowDifficulty => (25, "low difficulty share"),
        Reject::WrongChain => (26, "invalid block chain index"),
        other => return (20, other.to_string()),
    };
    (code, text.to_owned())
}

/// The name of a job's chain on the wire, read back.
fn parse_job(text: &str) -> Result<(JobId, u8), Reject> {
    if text.is_empty() || text.len() > 16 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Reject::UnknownJob);
    }
    let number = u64::from_str_radix(text, 16).map_err(|_| Reject::UnknownJob)?;
    Ok((JobId::new(number / CHAINS), (number % CHAINS) as u8))
}

/// A nonce in hexadecimal digits: whole, or without the connection's prefix; perhaps behind `0x`.
///
/// # Errors
/// [`Reject::BadNonce`] for other digits or lengths, [`Reject::ForeignExtranonce`] for another connection's.
pub fn parse_nonce(text: &str, extranonce: Extranonce) -> Result<[u8; NONCE_LEN], Reject> {
    let text = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let width = usize::from(extranonce.width());
    let prefix = extranonce.value().to_be_bytes();
    let prefix = &prefix[4 - width..];
    let mut nonce = [0; NONCE_LEN];
    nonce[..width].copy_from_slice(prefix);
    let given = match text.len() {
        len if len == 2 * NONCE_LEN => &mut nonce[..],
        len if len == 2 * (NONCE_LEN - width) => &mut nonce[width..],
        _ => return Err(Reject::BadNonce),
    };
    hex::decode_to_slice(text, given).map_err(|_| Reject::BadNonce)?;
    if nonce.starts_with(prefix) { Ok(nonce) } else { Err(Reject::ForeignExtranonce) }
}

/// A group number as a number or as text.
fn parse_group(text: &str) -> Option<u8> {
    text.parse().ok().filter(|group| *group < 4)
}

/// Appends a reply.
fn result(out: &mut Vec<u8>, grammar: Grammar, id: &RequestId, json: &[u8]) {
    out.extend_from_slice(b"{\"id\":");
    id.write(out);
    out.extend_from_slice(b",\"result\":");
    out.extend_from_slice(json);
    out.extend_from_slice(match grammar {
        Grammar::Miningcore => b",\"error\":null}\n",
        Grammar::Official | Grammar::Stratum1 => b"}\n",
    });
}

fn reply(grammar: Grammar, id: &RequestId, json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    result(&mut out, grammar, id, json);
    out
}

fn write_difficulty(work: Work, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[");
    difficulty::write(work, out);
    out.extend_from_slice(b"]}\n");
}

/// A job's line up to its target, or whole in the document's grammar, which has none.
fn write_job(grammar: Grammar, id: JobId, chain: u8, work: AlephiumWork<'_>, out: &mut Vec<u8>) {
    let name = id.get().wrapping_mul(CHAINS) | u64::from(chain);
    let name = format!("{name:x}");
    out.reserve(800);
    if grammar == Grammar::Stratum1 {
        out.extend_from_slice(b"{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(format!("\",\"{chain:02x}\",\"").as_bytes());
        push_hex(out, work.blob);
        out.extend_from_slice(b"\"]}\n");
        return;
    }
    out.extend_from_slice(b"{\"id\":null,\"method\":\"mining.notify\",\"params\":[{\"jobId\":\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\",\"fromGroup\":");
    push_number(out, u64::from(chain / 4));
    out.extend_from_slice(b",\"toGroup\":");
    push_number(out, u64::from(chain % 4));
    out.extend_from_slice(b",\"headerBlob\":\"");
    push_hex(out, work.blob);
    out.extend_from_slice(b"\",\"txsBlob\":\"\"");
    if grammar == Grammar::Official {
        out.extend_from_slice(b",\"height\":");
        push_number(out, u64::from(work.height));
    }
    out.extend_from_slice(b",\"targetBlob\":\"");
}

/// The first line, as far as it says what is spoken.
#[derive(Deserialize)]
struct FirstLine<'a> {
    #[serde(borrow, default)]
    id: Option<&'a serde_json::value::RawValue>,
    #[serde(borrow, default)]
    method: Option<&'a str>,
}

impl<J: AlephiumPuzzle> Alephium<J> {
    fn parse_submit<'a>(
        params: &json::Params<'a>,
        members: Option<&json::Members<'a>>,
        peer: &Peer<Profile>,
    ) -> Result<Request<'a, AlephiumSolution>, Garbage> {
        let (job, nonce, user, groups) = match members {
            Some(members) => {
                let group = |name| members.text_or_number(name).map(|text| parse_group(&text));
                (
                    members.text_or_number("jobId"),
                    members.text("nonce"),
                    members.text("worker"),
                    group("fromGroup").zip(group("toGroup")),
                )
            }
            None => (params.text_or_number(0), params.text(1), params.text(2), None),
        };
        let job = job.ok_or(Garbage::Shape("submit's jobId is no string or number"))?;
        let nonce = nonce.ok_or(Garbage::Shape("submit's nonce is not a string"))?;
        let named = parse_job(&job);
        let (named, groups) = match groups {
            // The groups say the chain; the number stays, for it may still be the right one.
            Some((Some(from), Some(to))) if peer.profile.mixes_ids && from < 4 && to < 4 => {
                let chain = from * 4 + to;
                let id = named.ok().filter(|(_, named)| *named == chain).map_or(NO_JOB, |(id, _)| id);
                (Ok((id, chain)), None)
            }
            groups => (named, groups),
        };
        let answer = named.and_then(|(id, chain)| {
            let same =
                |(from, to): (Option<u8>, Option<u8>)| from == Some(chain / 4) && to == Some(chain % 4);
            if !groups.is_none_or(same) {
                return Err(Reject::ForeignChain);
            }
            let nonce = parse_nonce(&nonce, peer.extranonce)?;
            Ok((id, AlephiumSolution { chain, nonce }))
        });
        Ok(Request::Submit { user: user.unwrap_or_default(), answer })
    }
}

impl<J: AlephiumPuzzle> Dialect for Alephium<J> {
    type Job = J;
    type Solution = AlephiumSolution;
    type Profile = Profile;
    /// A line per chain and grammar.
    const FORMS: usize = 3 * CHAINS as usize;

    fn job_id(job: &J) -> JobId {
        job.id()
    }

    fn same_work(one: &J, other: &J) -> bool {
        let blob = |job: &J, chain| job.work(chain).map(|work| *work.blob);
        (0..CHAINS as u8).all(|chain| blob(one, chain) == blob(other, chain))
    }

    fn retires_older(_job: &J) -> bool {
        // A block on an older template may still become an uncle.
        false
    }

    fn hail(&self, first_line: &[u8]) -> Profile {
        let Ok(line) = serde_json::from_slice::<FirstLine<'_>>(first_line) else { return Profile::default() };
        let grammar = match (line.method, line.id) {
            (Some("mining.hello"), Some(id)) if id.get().starts_with('"') => Grammar::Stratum1,
            (Some("mining.hello"), _) => Grammar::Miningcore,
            _ => Grammar::Official,
        };
        Profile { grammar, mixes_ids: false }
    }

    fn profile(&self, hailed: Profile, agent: &str) -> Profile {
        Profile { mixes_ids: agent.to_ascii_lowercase().contains("iceriver"), ..hailed }
    }

    fn stands_in(&self, peer: &Peer<Profile>, job: &J, solution: &AlephiumSolution) -> bool {
        peer.profile.mixes_ids && chain_for(job, peer.extranonce) == solution.chain
    }

    fn subscribes(&self, _profile: Profile) -> bool {
        false
    }

    fn names(&self, profile: Profile, worker: usize, user: &str) -> bool {
        profile.grammar == Grammar::Stratum1
            && user.strip_prefix("w-").is_some_and(|number| number.parse() == Ok(worker + 1))
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
    ) -> Result<Call<'a, AlephiumSolution>, (RequestId, Garbage)> {
        let (json::Envelope { id, method, params, .. }, members) =
            match json::envelope_with_members(line, limits) {
                Ok(parts) => parts,
                // The document's subscribe may have a bare string for parameters: a session to resume, which is not done.
                Err((id, Garbage::Shape(_)))
                    if serde_json::from_slice::<FirstLine<'_>>(line)
                        .is_ok_and(|line| line.method == Some("mining.subscribe")) =>
                {
                    return Ok(Call { id, request: Request::Subscribe { agent: "".into() } });
                }
                Err(garbage) => return Err(garbage),
            };
        let Some(method) = method else {
            return Ok(Call { id, request: Request::Response });
        };
        let grammar = peer.profile.grammar;
        let request = match &*method {
            "mining.submit" => match Self::parse_submit(&params, members.as_ref(), peer) {
                Ok(request) => request,
                Err(garbage) => return Err((id, garbage)),
            },
            "mining.hello" => Request::Hello { agent: params.text(0).unwrap_or_default() },
            "mining.subscribe" => Request::Subscribe { agent: params.text(0).unwrap_or_default() },
            "mining.extranonce.subscribe" => Request::ExtranonceSubscribe,
            "mining.authorize" => match params.text(0) {
                Some(user) => Request::Authorize { user, password: params.text(1).unwrap_or_default() },
                None => return Err((id, Garbage::Shape("authorize's user is not a string"))),
            },
            "mining.suggest_difficulty" => {
                let text = params.text_or_number(0);
                Request::Suggest { work: text.and_then(|text| difficulty::parse(&text)) }
            }
            "mining.noop" => Request::Reply(reply(grammar, &id, b"\"1\"")),
            "connection.set_gzip" | "mining.set_gzip" => Request::Reply(reply(grammar, &id, b"false")),
            "alph_submitHashrate" | "mining.submit_hashrate" | "eth_submitHashrate" | "mining.ping" => {
                Request::Courtesy
            }
            _ => Request::Unknown,
        };
        Ok(Call { id, request })
    }

    fn render(&self, peer: &Peer<Profile>, message: Message<'_, Self>, out: &mut Vec<u8>) {
        let grammar = peer.profile.grammar;
        match message {
            Message::Welcome { id } => {
                // Not resumed, ten minutes of silence, five errors; in the document's grammar digits without 0x.
                let prefix = if grammar == Grammar::Stratum1 { "" } else { "0x" };
                let node = concat!("poolwright/", env!("CARGO_PKG_VERSION"));
                let json = format!("[\"{PROTOCOL}\",false,\"{prefix}258\",\"{prefix}5\",\"{node}\"]");
                result(out, grammar, id, json.as_bytes());
            }
            Message::Subscribed { id } => match grammar {
                Grammar::Official => result(out, grammar, id, b"\"result\""),
                Grammar::Miningcore | Grammar::Stratum1 => {
                    result(out, grammar, id, format!("\"{}\"", peer.extranonce).as_bytes());
                }
            },
            Message::Authorized { id, worker } if grammar == Grammar::Stratum1 => {
                result(out, grammar, id, format!("\"w-{}\"", worker + 1).as_bytes());
            }
            Message::Done { id }
            | Message::Authorized { id, .. }
            | Message::LoggedIn { id, .. }
            | Message::Work { id, .. }
            | Message::Told { id, .. } => result(out, grammar, id, b"true"),
            Message::Refused { id, reject, why } => {
                let (code, text) = error_of(reject);
                out.extend_from_slice(b"{\"id\":");
                id.write(out);
                out.extend_from_slice(b",\"result\":null,\"error\":[");
                push_number(out, code);
                out.push(b',');
                push_string(out, why.unwrap_or(&text));
                out.extend_from_slice(b",null]}\n");
            }
            Message::SetExtranonce => {
                let prefix = peer.extranonce;
                let line = match grammar {
                    Grammar::Stratum1 => {
                        format!(
                            "{{\"id\":null,\"method\":\"mining.set_extranonce\",\"params\":\"{prefix}\"}}\n"
                        )
                    }
                    Grammar::Official | Grammar::Miningcore => {
                        format!(
                            "{{\"method\":\"mining.set_extranonce\",\"params\":[\"{prefix}\"],\"id\":null}}\n"
                        )
                    }
                };
                out.extend_from_slice(line.as_bytes());
            }
            Message::SetDifficulty(work) => match grammar {
                Grammar::Official => write_difficulty(work, out),
                // Comes with every job.
                Grammar::Miningcore => {}
                Grammar::Stratum1 => {
                    out.extend_from_slice(b"{\"id\":null,\"method\":\"mining.set_target\",\"params\":\"");
                    push_hex(out, &difficulty::share_target(work).to_be_bytes());
                    out.extend_from_slice(b"\"}\n");
                }
            },
            Message::Show(_) => {}
            Message::Reconnect => {
                out.extend_from_slice(b"{\"id\":null,\"method\":\"client.reconnect\",\"params\":[]}\n");
            }
        }
    }

    fn notify(&self, peer: &Peer<Profile>, posted: &Posted<Self>, work: Work) -> Bytes {
        let grammar = peer.profile.grammar;
        let job = posted.job();
        let chain = chain_for(&**job, peer.extranonce);
        let Some(template) = job.work(chain) else { return Bytes::new() };
        let form = grammar as usize * CHAINS as usize + usize::from(chain);
        let head = posted.line(form, |out| write_job(grammar, posted.id(), chain, template, out));
        if grammar == Grammar::Stratum1 {
            return head;
        }
        let mut line = Vec::with_capacity(head.len() + 192);
        if grammar == Grammar::Miningcore {
            write_difficulty(work, &mut line);
        }
        line.extend_from_slice(&head);
        difficulty::write_target(difficulty::share_target(work), &mut line);
        line.extend_from_slice(b"\"}]}\n");
        line.into()
    }

    fn share_target(&self, work: Work) -> Target {
        difficulty::share_target(work)
    }

    fn password_work(&self, password: &str) -> Option<Work> {
        password.split([',', ';', ' ']).find_map(|option| {
            let (key, value) = option.split_once('=')?;
            let key = key.trim();
            let asks = key.eq_ignore_ascii_case("d") || key.eq_ignore_ascii_case("diff");
            if asks { difficulty::parse(value.trim()) } else { None }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug)]
    struct Job(u64, Vec<u8>, [u8; 302]);

    impl AlephiumPuzzle for Job {
        fn id(&self) -> JobId {
            JobId::new(self.0)
        }

        fn live(&self) -> &[u8] {
            &self.1
        }

        fn work(&self, chain: u8) -> Option<AlephiumWork<'_>> {
            self.1.contains(&chain).then_some(AlephiumWork { blob: &self.2, height: 123 })
        }
    }

    type Line = Alephium<Job>;

    fn peer(grammar: Grammar) -> Peer<Profile> {
        Peer {
            profile: Profile { grammar, mixes_ids: false },
            extranonce: Extranonce::new(0xab12, 2).unwrap(),
        }
    }

    fn submit(params: &str) -> Result<Result<(u64, u8, String), Reject>, Garbage> {
        let line = format!("{{\"id\":7,\"method\":\"mining.submit\",\"params\":{params}}}");
        match Line::default().parse(&Limits::default(), &peer(Grammar::Official), line.as_bytes()) {
            Ok(Call { request: Request::Submit { answer, .. }, .. }) => {
                Ok(answer.map(|(job, found)| (job.get(), found.chain, hex::encode(found.nonce))))
            }
            Ok(other) => panic!("{other:?}"),
            Err((_, garbage)) => Err(garbage),
        }
    }

    const NONCE: &str = "ab1200000000000000000000000000000602f633e2f5e4ff";

    #[test]
    fn a_first_line_says_which_grammar() {
        let hail = |line: &str| Line::default().hail(line.as_bytes()).grammar;
        assert_eq!(hail(r#"{"id":1,"method":"mining.authorize","params":["a","x"]}"#), Grammar::Official);
        assert_eq!(
            hail(r#"{"id":0,"method":"mining.hello","params":["m","AlephiumStratum/1.0.0"]}"#),
            Grammar::Miningcore
        );
        assert_eq!(hail(r#"{"id":"0","method":"mining.hello","params":["m"]}"#), Grammar::Stratum1);
        assert_eq!(hail(""), Grammar::Official);
        assert_eq!(hail("GET / HTTP/1.1"), Grammar::Official);
    }

    #[test]
    fn every_way_to_write_a_submit_is_the_same_submit() {
        let same = Ok(Ok((1, 15, NONCE.to_owned())));
        let bare = &NONCE[4..];
        for params in [
            format!(r#"{{"jobId":"1f","fromGroup":3,"toGroup":3,"nonce":"{NONCE}","worker":"a.b"}}"#),
            format!(r#"{{"jobId":"1F","fromGroup":"3","toGroup":"3","nonce":"0x{}"}}"#, NONCE.to_uppercase()),
            format!(r#"{{"jobId":"1f","nonce":"{bare}"}}"#),
            format!(r#"["1f","{NONCE}","a.b"]"#),
            format!(r#"["1f","{bare}"]"#),
        ] {
            assert_eq!(submit(&params), same, "{params}");
        }
        assert_eq!(
            submit(&format!(r#"[16,"{NONCE}"]"#)),
            Ok(Ok((1, 6, NONCE.to_owned()))),
            "digits are digits"
        );
    }

    #[test]
    fn what_is_wrong_with_a_submit_is_said() {
        let object = |job: &str, from: u8, to: u8, nonce: &str| {
            submit(&format!(r#"{{"jobId":"{job}","fromGroup":{from},"toGroup":{to},"nonce":"{nonce}"}}"#))
        };
        assert_eq!(object("1f", 3, 2, NONCE), Ok(Err(Reject::ForeignChain)));
        assert_eq!(object("1f", 3, 9, NONCE), Ok(Err(Reject::ForeignChain)));
        assert_eq!(object("zz", 3, 3, NONCE), Ok(Err(Reject::UnknownJob)));
        assert_eq!(object("", 3, 3, NONCE), Ok(Err(Reject::UnknownJob)));
        assert_eq!(object("1f", 3, 3, "ab12"), Ok(Err(Reject::BadNonce)));
        assert_eq!(object("1f", 3, 3, &NONCE.replace("ab12", "zz12")), Ok(Err(Reject::BadNonce)));
        assert_eq!(object("1f", 3, 3, &NONCE.replace("ab12", "ab13")), Ok(Err(Reject::ForeignExtranonce)));
        assert!(submit("{}").is_err() && submit("[]").is_err() && submit(r#"["1f",5]"#).is_err());
    }

    #[test]
    fn codes_are_the_official_ones() {
        let rejects = [
            Reject::UnknownJob,
            Reject::ForeignChain,
            Reject::Unauthorized,
            Reject::BadNonce,
            Reject::Duplicate,
            Reject::LowDifficulty,
            Reject::WrongChain,
        ];
        assert_eq!(rejects.map(|reject| error_of(reject).0), [20, 21, 22, 23, 24, 25, 26]);
    }

    #[test]
    fn chains_take_turns_and_the_missing_are_left_out() {
        let ours = Extranonce::new(5, 2).unwrap();
        let all = |id| chain_for(&Job(id, (0..16).collect(), [0; 302]), ours);
        assert_eq!((all(0), all(1), all(11)), (5, 6, 0));
        let few = |id| chain_for(&Job(id, vec![2, 9], [0; 302]), ours);
        assert_eq!((few(0), few(1), few(2)), (9, 2, 9));
        assert_eq!(chain_for(&Job(1, vec![], [0; 302]), ours), 0);
    }

    #[test]
    fn a_job_in_all_three_grammars() {
        let blob = "07".repeat(302);
        let line = |grammar| {
            let mut out = Vec::new();
            write_job(grammar, JobId::new(1), 6, AlephiumWork { blob: &[7; 302], height: 123 }, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            line(Grammar::Official),
            format!(
                "{{\"id\":null,\"method\":\"mining.notify\",\"params\":[{{\"jobId\":\"16\",\"fromGroup\":1,\"toGroup\":2,\"headerBlob\":\"{blob}\",\"txsBlob\":\"\",\"height\":123,\"targetBlob\":\""
            )
        );
        assert!(!line(Grammar::Miningcore).contains("height"));
        assert_eq!(
            line(Grammar::Stratum1),
            format!("{{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"16\",\"06\",\"{blob}\"]}}\n")
        );
    }

    #[test]
    fn two_jobs_are_the_same_work_when_every_chain_is() {
        let job = |id, live: &[u8], byte| Job(id, live.to_vec(), [byte; 302]);
        assert!(Line::same_work(&job(1, &[1, 2], 7), &job(2, &[1, 2], 7)));
        assert!(!Line::same_work(&job(1, &[1, 2], 7), &job(2, &[1], 7)));
        assert!(!Line::same_work(&job(1, &[1, 2], 7), &job(2, &[1, 2], 8)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(line: Vec<u8>) {
            let dialect = Line::default();
            let profile = dialect.hail(&line);
            let _ = dialect.parse(&Limits::default(), &peer(profile.grammar), &line);
        }

        #[test]
        fn no_parameters_make_the_parser_panic(
            method in "(mining\\.(submit|subscribe|authorize|hello|noop|suggest_difficulty)|connection.set_gzip|[a-z.]{0,8})",
            params in proptest::collection::vec("(\"[ -~]{0,24}\"|-?[0-9.e]{1,24}|null|true|\\[\\]|\\{\\})", 0..10),
        ) {
            for grammar in [Grammar::Official, Grammar::Miningcore, Grammar::Stratum1] {
                let line = format!("{{\"id\":1,\"method\":\"{method}\",\"params\":[{}]}}", params.join(","));
                let _ = Line::default().parse(&Limits::default(), &peer(grammar), line.as_bytes());
            }
        }

        #[test]
        fn a_nonce_is_always_in_its_own_part(text in "(0x)?[0-9a-f]{40,50}", value: u32, width in 1..5u8) {
            let value = if width == 4 { value } else { value & ((1 << (8 * width)) - 1) };
            let extranonce = Extranonce::new(value, width).unwrap();
            if let Ok(nonce) = parse_nonce(&text, extranonce) {
                prop_assert_eq!(&nonce[..usize::from(width)], &value.to_be_bytes()[4 - usize::from(width)..]);
                prop_assert_eq!(parse_nonce(&hex::encode(nonce), extranonce), Ok(nonce));
            }
        }
    }
}
