//! Hypra: the four grammars of Ethereum's miners on one port, told apart by a connection's first line.
//!
//! | grammar | first line | nonce | job is named by |
//! |---|---|---|---|
//! | EthereumStratum/1.0.0 (NiceHash) | `mining.subscribe` with that text | extranonce of the pool's, rest of the miner's | an id |
//! | EthereumStratum/2.0.0 | `mining.hello` | the same | an id |
//! | ETHPROXY, over HTTP "getwork" | `eth_submitLogin` | all of the miner's | its seal hash |
//! | the first stratum | `mining.subscribe` with nothing | all of the miner's | an id |
//!
//! Where the nonce is all of the miner's, two miners may well find the same one; so a solution is paid once among all
//! connections ([`Dialect::SHARED_SPACE`]). Where the miner says its mix the proof is held against it.
//!
//! A job's seal hash names it on ETHPROXY's wire, and its id everywhere else in a pool. The dialect therefore remembers
//! the newest jobs it announced, [`SEEN_MAX`] at most: the only thing it remembers.
//!
//! NiceHash's difficulty is a number `d` that stands for the target `0xffff × 2^208 / d` with some and `2^224 / d` with
//! others. A share is judged by the easier of the two, so that no honest one is lost at the edge.
//! Source: NiceHash's specification, EIP-1571, ethminer's and open-ethereum-pool's code (behaviour).

use super::kaspa::difficulty;
use super::{Call, Dialect, ExtranonceMoment, Garbage, Message, Peer, Request, RequestId};
use crate::jobs::Posted;
use crate::json::{self, push_hex, push_string};
use bytes::Bytes;
use pool_core::id::JobId;
use pool_core::limits::Limits;
use pool_core::share::Reject;
use pool_core::units::{Target, U256, Work};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Jobs whose seal hashes are remembered.
pub const SEEN_MAX: usize = 512;
/// Blocks of one epoch: the second version of the protocol names the epoch's number.
const EPOCH_BLOCKS: u64 = 32_000;

/// What a notification says of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HypraWork {
    /// What the pool calls it.
    pub id: JobId,
    /// The hash of the header that is to be sealed.
    pub seal_hash: [u8; 32],
    /// What its epoch's cache is made from.
    pub seed_hash: [u8; 32],
    /// Its height.
    pub height: u64,
    /// The network's target.
    pub network: Target,
    /// It is the first of its height.
    pub clean: bool,
}

/// What a miner found: the whole nonce, extranonce included, and its mix where the grammar has one.
///
/// Two solutions with one nonce are the same solution whatever their mixes: the right one follows from the nonce, and a
/// wrong one must not make a second share of it.
#[derive(Clone, Copy, Debug)]
pub struct HypraSolution {
    /// The nonce.
    pub nonce: u64,
    /// The mix the miner claims.
    pub mix: Option<[u8; 32]>,
}

impl PartialEq for HypraSolution {
    fn eq(&self, other: &Self) -> bool {
        self.nonce == other.nonce
    }
}

impl Eq for HypraSolution {}

impl PartialOrd for HypraSolution {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for HypraSolution {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nonce.cmp(&other.nonce)
    }
}

/// A job that Hypra's miners can be told of. The coin's job implements it; [`HypraWork`] is one by itself.
pub trait HypraPuzzle: fmt::Debug + Send + Sync + 'static {
    /// What to tell.
    fn work(&self) -> HypraWork;
}

impl HypraPuzzle for HypraWork {
    fn work(&self) -> HypraWork {
        *self
    }
}

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Grammar {
    /// EthereumStratum/1.0.0, and of anybody nothing is known of.
    NiceHash,
    /// EthereumStratum/2.0.0.
    Second,
    /// ETHPROXY and HTTP getwork.
    Proxy,
    /// The first stratum.
    First,
}

/// Hypra's dialect for jobs of type `J`.
pub struct Hypra<J = HypraWork> {
    node: String,
    seen: Mutex<Seen>,
    job: PhantomData<fn() -> J>,
}

#[derive(Debug, Default)]
struct Seen {
    jobs: VecDeque<([u8; 32], JobId)>,
    newest: Option<HypraWork>,
}

impl<J> Hypra<J> {
    /// The dialect; `node` is what EthereumStratum/2.0.0 calls the node behind the pool.
    #[must_use]
    pub fn new(node: &str) -> Self {
        Self { node: node.to_owned(), seen: Mutex::default(), job: PhantomData }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Every state between two statements of the guarded code is whole.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn see(&self, work: &HypraWork) {
        let mut seen = self.seen();
        if seen.newest.is_some_and(|newest| newest.id >= work.id) {
            return;
        }
        seen.newest = Some(*work);
        if seen.jobs.len() == SEEN_MAX {
            seen.jobs.pop_front();
        }
        seen.jobs.push_back((work.seal_hash, work.id));
    }

    fn job_of(&self, seal_hash: &[u8; 32]) -> Option<JobId> {
        self.seen().jobs.iter().rev().find(|(seal, _)| seal == seal_hash).map(|(_, id)| *id)
    }
}

impl<J> Default for Hypra<J> {
    fn default() -> Self {
        Self::new("Hypra")
    }
}

impl<J> fmt::Debug for Hypra<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hypra").field("node", &self.node).finish_non_exhaustive()
    }
}

/// Exactly `N` bytes as hexadecimal digits, with or without `0x`.
fn hex_bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(bare(text), &mut bytes).ok().map(|()| bytes)
}

fn bare(text: &str) -> &str {
    text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text)
}

/// A number of at most 64 bits in hexadecimal digits.
fn hex_number(text: &str) -> Option<u64> {
    let digits = bare(text);
    let plain = (1..=16).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    if plain { u64::from_str_radix(digits, 16).ok() } else { None }
}

/// The nonce of a miner that has a part of the nonces: the digits behind its extranonce, or all sixteen.
fn own_nonce<P>(peer: &Peer<P>, text: &str) -> Result<u64, Reject> {
    let digits = bare(text);
    let number = hex_number(digits).ok_or(Reject::Malformed)?;
    let extranonce = peer.extranonce;
    if digits.len() == 16 {
        if extranonce.owns(number) { Ok(number) } else { Err(Reject::ForeignExtranonce) }
    } else if digits.len() == 16 - 2 * usize::from(extranonce.width()) {
        Ok(extranonce.in_nonce() | number)
    } else {
        Err(Reject::Malformed)
    }
}

/// The target of a share of `work`: the easiest that any reading of the difficulty gives, `floor((2^256 - 1) / work)`.
fn target_of(work: Work) -> Target {
    Target::new(U256::MAX / U256::from(work.get()))
}

/// Code and text of an error in EthereumStratum/1.0.0 and the first stratum.
fn first_error(reject: Reject) -> (i64, Cow<'static, str>) {
    match reject {
        Reject::UnknownJob => (21, "Job not found".into()),
        Reject::Stale => (21, "Stale job".into()),
        Reject::Duplicate => (22, "Duplicate share".into()),
        Reject::LowDifficulty => (23, "Low difficulty share".into()),
        Reject::Unauthorized => (24, "Unauthorized worker".into()),
        Reject::BadAddress => (24, "Invalid address".into()),
        Reject::NotSubscribed => (25, "Not subscribed".into()),
        other => (20, other.to_string().into()),
    }
}

/// The same in ETHPROXY. Source: open-ethereum-pool, `proxy/handlers.go` (behaviour).
fn proxy_error(reject: Reject) -> (i64, Cow<'static, str>) {
    match reject {
        Reject::UnknownMethod => (-3, "Method not found".into()),
        Reject::BadAddress => (-1, "Invalid login".into()),
        Reject::Malformed => (-1, "Malformed PoW result".into()),
        Reject::NoWork => (0, "Work not ready".into()),
        Reject::UnknownJob | Reject::Stale => (21, "Stale share".into()),
        Reject::Duplicate => (22, "Duplicate share".into()),
        Reject::LowDifficulty => (23, "Invalid share".into()),
        Reject::Unauthorized | Reject::NotSubscribed => (25, "Not subscribed".into()),
        other => (20, other.to_string().into()),
    }
}

/// The same in EthereumStratum/2.0.0: 3xx not authorized, 4xx the miner's fault, 5xx the pool's. No refusal is a 2xx:
/// those are for shares that were accepted.
fn second_error(reject: Reject) -> (i64, Cow<'static, str>) {
    match reject {
        Reject::NotSubscribed => (300, "Not subscribed".into()),
        Reject::Unauthorized => (300, "Not authorized".into()),
        Reject::BadAddress => (301, "Invalid address".into()),
        Reject::UnknownJob => (404, "Job not found".into()),
        Reject::Stale => (404, "Stale job".into()),
        Reject::UnknownMethod => (405, "Method not found".into()),
        Reject::LowDifficulty => (406, "Low difficulty share".into()),
        Reject::Duplicate => (406, "Duplicate share".into()),
        Reject::ForeignExtranonce => (406, "Nonce outside of your extranonce".into()),
        Reject::NoWork | Reject::Busy => (500, reject.to_string().into()),
        other => (400, other.to_string().into()),
    }
}

/// Begins a reply, up to behind its id.
fn reply(out: &mut Vec<u8>, grammar: Grammar, id: &RequestId) {
    out.extend_from_slice(b"{\"id\":");
    id.write(out);
    if matches!(grammar, Grammar::Proxy | Grammar::First) {
        out.extend_from_slice(b",\"jsonrpc\":\"2.0\"");
    }
}

/// Appends `"0x…"`.
fn push_0x(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(b"\"0x");
    push_hex(out, bytes);
    out.push(b'"');
}

/// Appends `"…"`, a number in hexadecimal without leading zeros.
fn push_quantity(out: &mut Vec<u8>, prefix: &str, number: u64) {
    out.extend_from_slice(format!("\"{prefix}{number:x}\"").as_bytes());
}

/// Appends the four items of a job as a node gives them out.
fn push_work(out: &mut Vec<u8>, work: &HypraWork, share: Work) {
    out.push(b'[');
    push_0x(out, &work.seal_hash);
    out.push(b',');
    push_0x(out, &work.seed_hash);
    out.push(b',');
    push_0x(out, &target_of(share).to_be_bytes());
    out.push(b',');
    push_quantity(out, "0x", work.height);
    out.push(b']');
}

/// A wish for a difficulty in a password, in the unit of NiceHash.
fn wish(password: &str) -> Option<Work> {
    password.split([',', ';', ' ']).find_map(|option| {
        let (key, value) = option.split_once('=')?;
        let key = key.trim();
        let asks = key.eq_ignore_ascii_case("d") || key.eq_ignore_ascii_case("diff");
        if asks { difficulty::parse(value.trim()) } else { None }
    })
}

impl<J: HypraPuzzle> Hypra<J> {
    /// EthereumStratum/1.0.0 and the first stratum, whose submits name header and mix as well.
    fn parse_first<'a>(
        grammar: Grammar,
        peer: &Peer<Grammar>,
        method: &str,
        params: &json::Params<'a>,
    ) -> Result<Request<'a, HypraSolution>, Garbage> {
        Ok(match method {
            "mining.subscribe" => Request::Subscribe { agent: params.text(0).unwrap_or_default() },
            "mining.extranonce.subscribe" => Request::ExtranonceSubscribe,
            "mining.authorize" => Request::Authorize {
                user: params.text(0).ok_or(Garbage::Shape("authorize's user is not a string"))?,
                password: params.text(1).unwrap_or_default(),
            },
            "mining.submit" => {
                let user = params.text(0).ok_or(Garbage::Shape("submit's worker is not a string"))?;
                let job =
                    params.text_or_number(1).ok_or(Garbage::Shape("submit's job is no string or number"))?;
                let nonce = params.text(2).ok_or(Garbage::Shape("submit's nonce is not a string"))?;
                let (nonce, mix) = if grammar == Grammar::First {
                    let mix = params.text(4).and_then(|text| hex_bytes(&text));
                    (hex_number(&nonce).ok_or(Reject::Malformed), mix)
                } else {
                    // Some say header and mix here too; the pool computes them.
                    (own_nonce(peer, &nonce), None)
                };
                let answer = match (hex_number(&job), nonce) {
                    (_, Err(Reject::Malformed)) => {
                        return Err(Garbage::Shape("submit's nonce has not the right number of digits"));
                    }
                    (None, _) => Err(Reject::UnknownJob),
                    (Some(_), Err(reject)) => Err(reject),
                    (Some(job), Ok(nonce)) => Ok((JobId::new(job), HypraSolution { nonce, mix })),
                };
                Request::Submit { user, answer }
            }
            "mining.suggest_difficulty" => {
                let text = params.text_or_number(0);
                Request::Suggest { work: text.and_then(|text| difficulty::parse(&text)) }
            }
            "eth_submitHashrate" | "mining.ping" | "mining.hashrate" => Request::Courtesy,
            _ => Request::Unknown,
        })
    }

    fn parse_second<'a>(
        peer: &Peer<Grammar>,
        method: &str,
        params: &json::Params<'a>,
        members: Option<&json::Members<'a>>,
    ) -> Result<Request<'a, HypraSolution>, Garbage> {
        Ok(match method {
            "mining.hello" => {
                let members = members.ok_or(Garbage::Shape("hello's params are not an object"))?;
                if members.text("proto").as_deref() != Some("EthereumStratum/2.0.0") {
                    return Err(Garbage::Shape("only EthereumStratum/2.0.0 begins with hello"));
                }
                Request::Hello { agent: members.text("agent").unwrap_or_default() }
            }
            // Its parameter is a session to resume, which no pool needs to keep.
            "mining.subscribe" => Request::Subscribe { agent: Cow::Borrowed("") },
            "mining.authorize" => Request::Authorize {
                user: params.text(0).ok_or(Garbage::Shape("authorize's user is not a string"))?,
                password: params.text(1).unwrap_or_default(),
            },
            "mining.submit" => {
                let job =
                    params.text_or_number(0).ok_or(Garbage::Shape("submit's job is no string or number"))?;
                let nonce = params.text(1).ok_or(Garbage::Shape("submit's nonce is not a string"))?;
                let user = params.text(2).unwrap_or_default();
                let answer = match (hex_number(&job), own_nonce(peer, &nonce)) {
                    (_, Err(Reject::Malformed)) => {
                        return Err(Garbage::Shape("submit's nonce has not the right number of digits"));
                    }
                    (None, _) => Err(Reject::UnknownJob),
                    (Some(_), Err(reject)) => Err(reject),
                    (Some(job), Ok(nonce)) => Ok((JobId::new(job), HypraSolution { nonce, mix: None })),
                };
                Request::Submit { user, answer }
            }
            "mining.hashrate" | "mining.noop" => Request::Courtesy,
            // The miner leaves, and wants no answer.
            "mining.bye" => Request::Response,
            _ => Request::Unknown,
        })
    }

    fn parse_proxy<'a>(
        &self,
        id: &RequestId,
        method: &str,
        params: &json::Params<'a>,
        worker: Option<Cow<'a, str>>,
    ) -> Result<Request<'a, HypraSolution>, Garbage> {
        Ok(match method {
            "eth_submitLogin" | "eth_login" => {
                let login = params.text(0).ok_or(Garbage::Shape("login's address is not a string"))?;
                let user = match worker {
                    Some(worker) if !worker.is_empty() && !login.contains('.') => {
                        Cow::Owned(format!("{login}.{worker}"))
                    }
                    _ => login,
                };
                Request::Authorize { user, password: params.text(1).unwrap_or_default() }
            }
            "eth_getWork" => Request::Poll,
            "eth_submitWork" => {
                let text = |place, what| params.text(place).ok_or(Garbage::Shape(what));
                let nonce = text(0, "nonce is not a string")?;
                let nonce = Some(bare(&nonce)).filter(|digits| digits.len() == 16).and_then(hex_number);
                let nonce = nonce.ok_or(Garbage::Shape("nonce is not 16 digits"))?;
                let seal_hash = hex_bytes(&text(1, "header is not a string")?)
                    .ok_or(Garbage::Shape("header is not 64 digits"))?;
                let mix = hex_bytes(&text(2, "mix is not a string")?)
                    .ok_or(Garbage::Shape("mix is not 64 digits"))?;
                let solution = HypraSolution { nonce, mix: Some(mix) };
                let answer = self.job_of(&seal_hash).map(|job| (job, solution)).ok_or(Reject::UnknownJob);
                Request::Submit { user: worker.unwrap_or_default(), answer }
            }
            "eth_submitHashrate" => Request::Courtesy,
            // What a miner of this kind wants to know of the chain: height and difficulty.
            "eth_getBlockByNumber" => {
                let newest = self.seen().newest;
                let mut out = Vec::new();
                reply(&mut out, Grammar::Proxy, id);
                match newest {
                    Some(work) => {
                        let difficulty = work.network.work().get();
                        let text = format!(
                            ",\"result\":{{\"number\":\"0x{:x}\",\"difficulty\":\"0x{difficulty:x}\"}}}}\n",
                            work.height
                        );
                        out.extend_from_slice(text.as_bytes());
                    }
                    None => out.extend_from_slice(b",\"result\":null}\n"),
                }
                Request::Reply(out)
            }
            _ => Request::Unknown,
        })
    }

    fn render_refused(
        grammar: Grammar,
        id: &RequestId,
        reject: Reject,
        why: Option<&str>,
        out: &mut Vec<u8>,
    ) {
        let (code, text) = match grammar {
            Grammar::NiceHash | Grammar::First => first_error(reject),
            Grammar::Proxy => proxy_error(reject),
            Grammar::Second => second_error(reject),
        };
        let text = why.unwrap_or(&text);
        reply(out, grammar, id);
        match grammar {
            Grammar::NiceHash | Grammar::First => {
                out.extend_from_slice(format!(",\"result\":false,\"error\":[{code},").as_bytes());
                push_string(out, text);
                out.extend_from_slice(b",null]}\n");
            }
            Grammar::Proxy | Grammar::Second => {
                if grammar == Grammar::Proxy {
                    out.extend_from_slice(b",\"result\":null");
                }
                out.extend_from_slice(format!(",\"error\":{{\"code\":{code},\"message\":").as_bytes());
                push_string(out, text);
                out.extend_from_slice(b"}}\n");
            }
        }
    }

    /// EthereumStratum/2.0.0 sets epoch, target, algorithm and extranonce before a job. All of them every time: what has
    /// not changed does no harm, and nothing depends on what was sent before.
    fn write_second(peer: &Peer<Grammar>, work: &HypraWork, share: Work, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"method\":\"mining.set\",\"params\":{\"epoch\":");
        push_quantity(out, "", work.height / EPOCH_BLOCKS);
        out.extend_from_slice(b",\"target\":\"");
        push_hex(out, &target_of(share).to_be_bytes());
        out.extend_from_slice(b"\",\"algo\":\"ethashb3\",\"extranonce\":");
        push_string(out, &peer.extranonce.to_string());
        out.extend_from_slice(b"}}\n{\"method\":\"mining.notify\",\"params\":[");
        push_quantity(out, "", work.id.get());
        out.push(b',');
        push_quantity(out, "", work.height);
        out.extend_from_slice(b",\"");
        push_hex(out, &work.seal_hash);
        out.extend_from_slice(if work.clean { b"\",\"1\"]}\n" } else { b"\",\"0\"]}\n" });
    }
}

impl<J: HypraPuzzle> Dialect for Hypra<J> {
    type Job = J;
    type Solution = HypraSolution;
    type Profile = Grammar;
    const FORMS: usize = 1;
    const SHARED_SPACE: bool = true;

    fn job_id(job: &J) -> JobId {
        job.work().id
    }

    fn same_work(one: &J, other: &J) -> bool {
        one.work().seal_hash == other.work().seal_hash
    }

    /// Never: a block of the height before is still paid as an uncle.
    fn retires_older(_job: &J) -> bool {
        false
    }

    fn hail(&self, first_line: &[u8]) -> Grammar {
        let Ok((envelope, _)) = json::envelope_with_members(first_line, &Limits::default()) else {
            return Grammar::NiceHash;
        };
        match envelope.method.as_deref() {
            Some("mining.hello") => Grammar::Second,
            Some(method) if method.starts_with("eth_") => Grammar::Proxy,
            Some("mining.subscribe") if envelope.params.len() == 0 => Grammar::First,
            _ => Grammar::NiceHash,
        }
    }

    fn profile(&self, hailed: Grammar, _agent: &str) -> Grammar {
        hailed
    }

    fn subscribes(&self, profile: Grammar) -> bool {
        profile != Grammar::Proxy
    }

    /// `/0xADDRESS` or `/0xADDRESS/WORKER`, and whatever a proxy puts before it.
    fn http_login(&self, path: &str) -> Option<Vec<u8>> {
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        let is_address = |part: &&str| bare(part.split('.').next().unwrap_or_default()).len() == 40;
        let login = parts.find(is_address)?;
        let mut line = b"{\"id\":0,\"method\":\"eth_submitLogin\",\"params\":[".to_vec();
        push_string(&mut line, login);
        line.extend_from_slice(b",\"x\"],\"worker\":");
        push_string(&mut line, parts.next().unwrap_or_default());
        line.push(b'}');
        Some(line)
    }

    fn names(&self, profile: Grammar, worker: usize, user: &str) -> bool {
        profile == Grammar::Second && user.strip_prefix("w-") == Some(&*(worker + 1).to_string())
    }

    fn power_of_two(&self, _profile: Grammar) -> bool {
        false
    }

    fn extranonce_moment(&self, _profile: Grammar) -> ExtranonceMoment {
        // Never said by itself: it is in the reply to a subscribe, or before each job.
        ExtranonceMoment::Authorized
    }

    fn parse<'a>(
        &self,
        limits: &Limits,
        peer: &Peer<Grammar>,
        line: &'a [u8],
    ) -> Result<Call<'a, HypraSolution>, (RequestId, Garbage)> {
        let (envelope, members) = json::envelope_with_members(line, limits)?;
        let json::Envelope { id, method, params, worker } = envelope;
        let Some(method) = method else {
            return Ok(Call { id, request: Request::Response });
        };
        if members.is_some() && peer.profile != Grammar::Second {
            return Err((id, Garbage::Shape("params is not an array")));
        }
        let request = match peer.profile {
            grammar @ (Grammar::NiceHash | Grammar::First) => {
                Self::parse_first(grammar, peer, &method, &params)
            }
            Grammar::Second => Self::parse_second(peer, &method, &params, members.as_ref()),
            Grammar::Proxy => self.parse_proxy(&id, &method, &params, worker),
        };
        match request {
            Ok(request) => Ok(Call { id, request }),
            Err(garbage) => Err((id, garbage)),
        }
    }

    fn render(&self, peer: &Peer<Grammar>, message: Message<'_, Self>, out: &mut Vec<u8>) {
        let grammar = peer.profile;
        match message {
            Message::Welcome { id } => {
                reply(out, grammar, id);
                out.extend_from_slice(
                    b",\"result\":{\"proto\":\"EthereumStratum/2.0.0\",\"encoding\":\"plain\",\"resume\":\"0\",\
                      \"timeout\":\"b4\",\"maxerrors\":\"5\",\"node\":",
                );
                push_string(out, &self.node);
                out.extend_from_slice(b"}}\n");
            }
            Message::Subscribed { id } => {
                reply(out, grammar, id);
                let name = peer.extranonce;
                match grammar {
                    Grammar::NiceHash => {
                        // The session's name is its extranonce: as long as it lives nobody else has it.
                        let text = format!(
                            ",\"result\":[[\"mining.notify\",\"{:032x}\",\"EthereumStratum/1.0.0\"],\"{name}\"],\
                             \"error\":null}}\n",
                            name.value()
                        );
                        out.extend_from_slice(text.as_bytes());
                    }
                    Grammar::Second => {
                        out.extend_from_slice(format!(",\"result\":\"s-{name}\"}}\n").as_bytes());
                    }
                    Grammar::Proxy | Grammar::First => out.extend_from_slice(b",\"result\":true}\n"),
                }
            }
            Message::Authorized { id, worker } if grammar == Grammar::Second => {
                reply(out, grammar, id);
                out.extend_from_slice(format!(",\"result\":\"w-{}\"}}\n", worker + 1).as_bytes());
            }
            Message::Done { id } | Message::Authorized { id, .. } | Message::LoggedIn { id, .. } => {
                reply(out, grammar, id);
                out.extend_from_slice(match grammar {
                    Grammar::NiceHash => b",\"result\":true,\"error\":null}\n",
                    Grammar::Second => b"}\n",
                    Grammar::Proxy | Grammar::First => b",\"result\":true}\n",
                });
            }
            Message::Work { id, job } => match job {
                Some((posted, share)) => {
                    let work = posted.job().work();
                    self.see(&work);
                    reply(out, grammar, id);
                    out.extend_from_slice(b",\"result\":");
                    push_work(out, &work, share);
                    out.extend_from_slice(b"}\n");
                }
                None => Self::render_refused(grammar, id, Reject::NoWork, None, out),
            },
            Message::Refused { id, reject, why } => Self::render_refused(grammar, id, reject, why, out),
            Message::SetDifficulty(work) if grammar == Grammar::NiceHash => {
                out.extend_from_slice(b"{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[");
                difficulty::write(work, out);
                out.extend_from_slice(b"]}\n");
            }
            Message::Reconnect => match grammar {
                Grammar::NiceHash | Grammar::First => {
                    out.extend_from_slice(b"{\"id\":null,\"method\":\"client.reconnect\",\"params\":[]}\n")
                }
                Grammar::Second => out.extend_from_slice(b"{\"method\":\"mining.reconnect\"}\n"),
                Grammar::Proxy => {}
            },
            // The extranonce and other grammars' difficulty go with the job; nothing here is for a screen or asks.
            Message::SetDifficulty(_) | Message::SetExtranonce | Message::Show(_) | Message::Told { .. } => {}
        }
    }

    fn notify(&self, peer: &Peer<Grammar>, posted: &Posted<Self>, share: Work) -> Bytes {
        let work = posted.job().work();
        self.see(&work);
        let mut out = Vec::with_capacity(320);
        match peer.profile {
            Grammar::NiceHash => {
                return posted.line(0, |out| {
                    out.extend_from_slice(b"{\"id\":null,\"method\":\"mining.notify\",\"params\":[");
                    push_quantity(out, "", work.id.get());
                    out.extend_from_slice(b",\"");
                    push_hex(out, &work.seed_hash);
                    out.extend_from_slice(b"\",\"");
                    push_hex(out, &work.seal_hash);
                    out.extend_from_slice(if work.clean { b"\",true]}\n" } else { b"\",false]}\n" });
                });
            }
            Grammar::Second => Self::write_second(peer, &work, share, &mut out),
            Grammar::Proxy => {
                out.extend_from_slice(b"{\"id\":0,\"jsonrpc\":\"2.0\",\"result\":");
                push_work(&mut out, &work, share);
                out.extend_from_slice(b"}\n");
            }
            Grammar::First => {
                out.extend_from_slice(
                    b"{\"id\":null,\"jsonrpc\":\"2.0\",\"method\":\"mining.notify\",\"params\":[",
                );
                push_quantity(&mut out, "0x", work.id.get());
                for bytes in [work.seal_hash, work.seed_hash, target_of(share).to_be_bytes()] {
                    out.push(b',');
                    push_0x(&mut out, &bytes);
                }
                out.extend_from_slice(b"]}\n");
            }
        }
        out.into()
    }

    fn share_target(&self, work: Work) -> Target {
        target_of(work)
    }

    fn password_work(&self, password: &str) -> Option<Work> {
        wish(password)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extranonce::Extranonce;
    use crate::jobs::JobRing;
    use pool_core::time::{Micros, Moment};
    use proptest::prelude::*;
    use std::sync::Arc;

    const SEAL: &str = "23a7ea79e8a8faf35d30d28eee3fecffe352809c8c26e13c309e3d2590dc4e8e";

    fn bytes(text: &str) -> [u8; 32] {
        hex_bytes(text).unwrap()
    }

    fn job(id: u64) -> HypraWork {
        HypraWork {
            id: JobId::new(id),
            seal_hash: bytes(SEAL),
            seed_hash: [0; 32],
            height: 12_345,
            network: Target::from_work(Work::new(1_002_317).unwrap()),
            clean: false,
        }
    }

    fn posted(job: HypraWork) -> Arc<Posted<Hypra>> {
        JobRing::new(8, Micros::from_secs(60)).publish(Moment::ZERO, Arc::new(job)).unwrap()
    }

    fn peer(profile: Grammar) -> Peer<Grammar> {
        Peer { profile, extranonce: Extranonce::new(0xbeef, 2).unwrap() }
    }

    fn work(hashes: u128) -> Work {
        Work::new(hashes).unwrap()
    }

    fn parse<'a>(dialect: &Hypra, grammar: Grammar, line: &'a str) -> Request<'a, HypraSolution> {
        dialect.parse(&Limits::default(), &peer(grammar), line.as_bytes()).unwrap().request
    }

    fn rendered(dialect: &Hypra, grammar: Grammar, message: Message<'_, Hypra>) -> String {
        let mut out = Vec::new();
        dialect.render(&peer(grammar), message, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// The exchange of EIP-1571 with the extranonce and the share of a block that was really mined.
    #[test]
    fn a_whole_exchange_of_the_second_version() {
        let dialect = Hypra::new("Geth/v1.13.1");
        let hello = r#"{"id":0,"method":"mining.hello","params":{"agent":"m/1","host":"pool.example","port":"d05","proto":"EthereumStratum/2.0.0"}}"#;
        assert_eq!(dialect.hail(hello.as_bytes()), Grammar::Second);
        assert!(
            matches!(parse(&dialect, Grammar::Second, hello), Request::Hello { agent } if agent == "m/1")
        );
        assert_eq!(
            rendered(&dialect, Grammar::Second, Message::Welcome { id: &RequestId::Number(0) }),
            r#"{"id":0,"result":{"proto":"EthereumStratum/2.0.0","encoding":"plain","resume":"0","timeout":"b4","maxerrors":"5","node":"Geth/v1.13.1"}}
"#
        );
        let authorized = Message::Authorized { id: &RequestId::Number(2), worker: 0 };
        assert_eq!(rendered(&dialect, Grammar::Second, authorized), "{\"id\":2,\"result\":\"w-1\"}\n");
        let notify = dialect.notify(&peer(Grammar::Second), &posted(job(1)), work(1_000));
        assert_eq!(
            std::str::from_utf8(&notify).unwrap(),
            r#"{"method":"mining.set","params":{"epoch":"0","target":"004189374bc6a7ef9db22d0e5604189374bc6a7ef9db22d0e5604189374bc6a7","algo":"ethashb3","extranonce":"beef"}}
{"method":"mining.notify","params":["1","3039","23a7ea79e8a8faf35d30d28eee3fecffe352809c8c26e13c309e3d2590dc4e8e","0"]}
"#
        );
        let submit = r#"{"id":40,"method":"mining.submit","params":["1","a93fa17202a4","w-1"]}"#;
        let Request::Submit { user, answer } = parse(&dialect, Grammar::Second, submit) else { panic!() };
        let (id, solution) = answer.unwrap();
        assert_eq!((id.get(), solution.nonce), (1, 0xbeef_a93f_a172_02a4));
        assert!(dialect.names(Grammar::Second, 0, &user) && !dialect.names(Grammar::Second, 1, &user));
        let done = Message::Done { id: &RequestId::Number(40) };
        assert_eq!(rendered(&dialect, Grammar::Second, done), "{\"id\":40}\n");
        for bad in [
            r#"{"id":0,"method":"mining.hello","params":{"proto":"EthereumStratum/3.0.0"}}"#,
            r#"{"id":0,"method":"mining.hello","params":[]}"#,
            r#"{"id":0,"method":"mining.hello"}"#,
        ] {
            assert!(
                dialect.parse(&Limits::default(), &peer(Grammar::Second), bad.as_bytes()).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_grammar_is_known_by_its_first_line() {
        let dialect = Hypra::<HypraWork>::default();
        for (line, grammar) in [
            (
                r#"{"id":1,"method":"mining.subscribe","params":["m/1","EthereumStratum/1.0.0"]}"#,
                Grammar::NiceHash,
            ),
            (r#"{"id":1,"method":"mining.subscribe","params":["m/1"]}"#, Grammar::NiceHash),
            (r#"{"id":1,"method":"mining.subscribe","params":[]}"#, Grammar::First),
            (r#"{"id":1,"method":"mining.subscribe"}"#, Grammar::First),
            (r#"{"id":1,"method":"eth_submitLogin","params":["0x"],"worker":"w"}"#, Grammar::Proxy),
            (r#"{"id":1,"method":"eth_getWork"}"#, Grammar::Proxy),
            (r#"{"id":1,"method":"mining.hello","params":{}}"#, Grammar::Second),
            ("", Grammar::NiceHash),
            ("nonsense", Grammar::NiceHash),
        ] {
            assert_eq!(dialect.hail(line.as_bytes()), grammar, "{line}");
            assert_eq!(dialect.profile(grammar, "any"), grammar);
            assert_eq!(dialect.subscribes(grammar), grammar != Grammar::Proxy);
        }
    }

    #[test]
    fn a_path_logs_in() {
        let dialect = Hypra::<HypraWork>::default();
        let address = "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F";
        let user = |path: &str| {
            let line = dialect.http_login(path)?;
            assert_eq!(dialect.hail(&line), Grammar::Proxy);
            match dialect.parse(&Limits::default(), &peer(Grammar::Proxy), &line).unwrap().request {
                Request::Authorize { user, password } => Some(format!("{user} {password}")),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(user(&format!("/{address}")), Some(format!("{address} x")));
        assert_eq!(user(&format!("/{address}/rig1")), Some(format!("{address}.rig1 x")));
        assert_eq!(user(&format!("/api/{address}/1/")), Some(format!("{address}.1 x")));
        assert_eq!(user(&format!("/{address}.rig2")), Some(format!("{address}.rig2 x")));
        assert_eq!(user(&format!("/{}/a\"b", &address[2..])), Some(format!("{}.a\"b x", &address[2..])));
        for path in ["", "/", "/favicon.ico", "/0x1234/rig"] {
            assert_eq!(user(path), None, "{path}");
        }
    }

    #[test]
    fn a_share_is_judged_by_the_easier_of_two_readings() {
        // Difficulty, and both targets that are in use for it.
        for (difficulty, low, high) in [
            ("0.5", "00000001fffe", "00000002"),
            ("1", "00000000ffff", "00000001"),
            ("4", "000000003fffc", "0000000040"),
            (
                "100",
                "00000000028f5999999999999999999999999999999999999999999999999999",
                "00000000028f5c28f5c28f5c28f5c28f5c28f5c28f5c28f5c28f5c28f5c28f5c",
            ),
        ] {
            let target = |text: &str| U256::from_be_bytes(bytes(&format!("{text:0<64}")));
            let share = target_of(super::difficulty::parse(difficulty).unwrap()).get();
            assert!(share >= target(low), "{difficulty}");
            assert!(share <= target(high) && share + U256::from(1u64) >= target(high), "{difficulty}");
        }
        assert_eq!(target_of(Work::ONE), Target::MAX);
        assert_eq!(wish("x,d=0.5"), Some(work(1 << 31)));
        assert_eq!(wish("x"), None);
    }

    #[test]
    fn work_is_found_again_by_its_seal_hash_while_it_is_among_the_newest() {
        let dialect = Hypra::<HypraWork>::default();
        let seal = |n: u64| {
            let mut seal = [0; 32];
            seal[..8].copy_from_slice(&n.to_be_bytes());
            seal
        };
        for id in 1..=SEEN_MAX as u64 + 10 {
            let posted = posted(HypraWork { seal_hash: seal(id), ..job(id) });
            dialect.notify(&peer(Grammar::Proxy), &posted, work(400));
            dialect.notify(&peer(Grammar::NiceHash), &posted, work(400));
            assert!(dialect.seen().jobs.len() <= SEEN_MAX);
            assert_eq!(dialect.job_of(&seal(id)), Some(JobId::new(id)));
        }
        assert_eq!(dialect.job_of(&seal(10)), None);
        assert_eq!(dialect.job_of(&seal(11)), Some(JobId::new(11)));
    }

    #[test]
    fn a_nonce_is_one_solution_whatever_its_mix() {
        let one = HypraSolution { nonce: 1, mix: Some([1; 32]) };
        assert_eq!(one, HypraSolution { nonce: 1, mix: None });
        assert!(one < HypraSolution { nonce: 2, mix: None });
    }

    const GRAMMARS: [Grammar; 4] = [Grammar::NiceHash, Grammar::Second, Grammar::Proxy, Grammar::First];

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(line: Vec<u8>) {
            let dialect = Hypra::<HypraWork>::default();
            for grammar in GRAMMARS {
                let _ = dialect.parse(&Limits::default(), &peer(grammar), &line);
            }
            let _ = dialect.hail(&line);
        }

        #[test]
        fn no_parameters_make_the_parser_panic_and_a_part_of_the_nonces_is_kept(
            method in "(mining\\.(submit|subscribe|authorize|hello)|eth_[a-zA-Z]{0,12}|[a-z.]{0,8})",
            params in proptest::collection::vec("(\"(0x)?[0-9a-f]{0,66}\"|\"[ -!#-\\[\\]-~]{0,24}\"|-?[0-9]{1,24}|null)", 0..7),
        ) {
            let line = format!("{{\"id\":1,\"method\":\"{method}\",\"params\":[{}]}}", params.join(","));
            let dialect = Hypra::<HypraWork>::default();
            for grammar in GRAMMARS {
                let call = dialect.parse(&Limits::default(), &peer(grammar), line.as_bytes());
                if let Ok(Call { request: Request::Submit { answer: Ok((_, solution)), .. }, .. }) = call
                    && matches!(grammar, Grammar::NiceHash | Grammar::Second)
                {
                    prop_assert!(peer(grammar).extranonce.owns(solution.nonce));
                }
            }
        }
    }
}
