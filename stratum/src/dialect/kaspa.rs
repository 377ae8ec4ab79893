//! Kaspa: JSON lines in the EthereumStratum manner, with a miner family's own ways in a table.
//!
//! What differs between families, and where it comes from, is [`table`]'s; how work is printed is [`difficulty`]'s;
//! how a nonce is read is [`nonce`]'s. This module is the grammar: which methods there are and what each line looks
//! like. Replies are `{"id":…,"result":…,"error":…}` with `"error":null` written out, because rental services insist
//! on it; error codes are 20 (anything else), 21 (job), 22 (duplicate), 23 (difficulty), 24 (not authorized) and 25
//! (not subscribed).
//!
//! Some IceRiver and Bitmain firmware answers with the id of a neighbouring job. The bridges then try the solution on
//! every job they remember, which lets anybody make the pool hash hundreds of times per submit and gives every bad
//! nonce hundreds of chances. Here a submit is tried on the job it names, and on no other.
//!
//! On a block DAG an old job is not worthless: blocks on it are still merged. So no Kaspa job retires the ones before
//! it, [`KaspaWork::clean`] or not; they end with the ring.

pub mod difficulty;
pub mod nonce;
pub mod table;

use super::{Call, Dialect, ExtranonceMoment, Garbage, Message, Peer, Request, RequestId};
use crate::jobs::Posted;
use crate::json::{self, push_hex, push_number, push_string};
use bytes::Bytes;
use pool_core::id::JobId;
use pool_core::limits::Limits;
use pool_core::share::Reject;
use pool_core::units::{Target, Work};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
pub use table::{BadRow, DialectRow, DialectTable, ExtranonceForm, NotifyForm, Profile};

/// What a notification says of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KaspaWork {
    /// What miners call it.
    pub id: JobId,
    /// Hash of the header without timestamp and nonce, in natural byte order.
    pub pre_pow: [u8; 32],
    /// The header's timestamp, in milliseconds since 1970.
    pub timestamp: u64,
    /// The chain moved on, not just the transactions. For pacing; the wire has no such flag.
    pub clean: bool,
}

/// What a miner found: the whole nonce, extranonce included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KaspaSolution {
    /// The header's nonce.
    pub nonce: u64,
}

/// A job that Kaspa's miners can be told of. The coin's job implements it; [`KaspaWork`] is one by itself.
pub trait KaspaPuzzle: fmt::Debug + Send + Sync + 'static {
    /// What to tell.
    fn work(&self) -> KaspaWork;
}

impl KaspaPuzzle for KaspaWork {
    fn work(&self) -> KaspaWork {
        *self
    }
}

/// Kaspa's dialect for jobs of type `J`.
pub struct Kaspa<J = KaspaWork> {
    table: DialectTable,
    job: PhantomData<fn() -> J>,
}

impl<J> Kaspa<J> {
    /// The dialect with a table of families.
    #[must_use]
    pub const fn new(table: DialectTable) -> Self {
        Self { table, job: PhantomData }
    }
}

impl<J> Default for Kaspa<J> {
    fn default() -> Self {
        Self::new(DialectTable::default())
    }
}

impl<J> fmt::Debug for Kaspa<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kaspa").field("table", &self.table).finish()
    }
}

/// Code and text of an error reply.
fn error_of(reject: Reject) -> (u64, Cow<'static, str>) {
    match reject {
        Reject::UnknownJob => (21, "Job not found".into()),
        Reject::Stale => (21, "Stale job".into()),
        Reject::Duplicate => (22, "Duplicate share submitted".into()),
        Reject::LowDifficulty => (23, "Invalid difficulty".into()),
        Reject::Unauthorized => (24, "Unauthorized worker".into()),
        Reject::BadAddress => (24, "Invalid address".into()),
        Reject::NotSubscribed => (25, "Not subscribed".into()),
        other => (20, other.to_string().into()),
    }
}

/// Begins a notification, up to its parameters.
fn begin(out: &mut Vec<u8>, minimal: bool, id: Option<u64>, method: &str) {
    if minimal {
        out.extend_from_slice(b"{\"method\":\"");
    } else {
        out.extend_from_slice(b"{\"id\":");
        match id {
            Some(id) => push_number(out, id),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"jsonrpc\":\"2.0\",\"method\":\"");
    }
    out.extend_from_slice(method.as_bytes());
    out.extend_from_slice(b"\",\"params\":[");
}

fn write_notify(work: &KaspaWork, profile: Profile, out: &mut Vec<u8>) {
    let id = work.id.get();
    // Clients keep ids in 32 bits; a notification's own id is read by none.
    let event = u32::try_from(id).ok().map(u64::from);
    begin(out, profile.minimal_json, event, "mining.notify");
    out.push(b'"');
    push_number(out, id);
    out.extend_from_slice(b"\",");
    match profile.notify {
        NotifyForm::Array => {
            out.push(b'[');
            for (place, word) in work.pre_pow.as_chunks::<8>().0.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                push_number(out, u64::from_le_bytes(*word));
            }
            out.extend_from_slice(b"],");
            push_number(out, work.timestamp);
        }
        NotifyForm::BigJob => {
            out.push(b'"');
            push_hex(out, &work.pre_pow);
            push_hex(out, &work.timestamp.to_le_bytes());
            out.push(b'"');
        }
    }
    out.extend_from_slice(b"]}\n");
}

impl<J: KaspaPuzzle> Kaspa<J> {
    fn parse_submit<'a>(
        params: &json::Params<'a>,
        peer: &Peer<Profile>,
    ) -> Result<Request<'a, KaspaSolution>, Garbage> {
        // Three parameters, or five in the EthereumStratum manner: worker, job, extranonce2, ntime, nonce.
        let place = match params.len() {
            3 | 4 => 2,
            5.. => 4,
            _ => return Err(Garbage::Shape("submit needs worker, job and nonce")),
        };
        let user = params.text(0).ok_or(Garbage::Shape("submit's worker is not a string"))?;
        let job = params.text_or_number(1).ok_or(Garbage::Shape("submit's job is no string or number"))?;
        let text = if peer.profile.decimal_nonce { params.text_or_number(place) } else { params.text(place) };
        let text = text.ok_or(Garbage::Shape("submit's nonce is not a string"))?;
        let nonce = nonce::parse(&text, peer.extranonce, peer.profile.decimal_nonce);
        let job = job.bytes().all(|b| b.is_ascii_digit()).then(|| job.parse().ok()).flatten();
        let answer = match (job, nonce) {
            (_, Err(Reject::Malformed)) => {
                return Err(Garbage::Shape("submit's nonce is no number of 64 bits"));
            }
            (None, _) => Err(Reject::UnknownJob),
            (Some(_), Err(reject)) => Err(reject),
            (Some(job), Ok(nonce)) => Ok((JobId::new(job), KaspaSolution { nonce })),
        };
        Ok(Request::Submit { user, answer })
    }
}

impl<J: KaspaPuzzle> Dialect for Kaspa<J> {
    type Job = J;
    type Solution = KaspaSolution;
    type Profile = Profile;
    const FORMS: usize = 4;

    fn job_id(job: &J) -> JobId {
        job.work().id
    }

    fn same_work(one: &J, other: &J) -> bool {
        let (one, other) = (one.work(), other.work());
        one.pre_pow == other.pre_pow && one.timestamp == other.timestamp
    }

    fn retires_older(_job: &J) -> bool {
        false
    }

    fn hail(&self, _first_line: &[u8]) -> Profile {
        self.table.profile("")
    }

    fn profile(&self, _hailed: Profile, agent: &str) -> Profile {
        self.table.profile(agent)
    }

    fn power_of_two(&self, profile: Profile) -> bool {
        profile.power_of_two
    }

    fn extranonce_moment(&self, profile: Profile) -> ExtranonceMoment {
        if profile.extranonce_early { ExtranonceMoment::Subscribed } else { ExtranonceMoment::Authorized }
    }

    fn parse<'a>(
        &self,
        limits: &Limits,
        peer: &Peer<Profile>,
        line: &'a [u8],
    ) -> Result<Call<'a, KaspaSolution>, (RequestId, Garbage)> {
        let json::Envelope { id, method, params, .. } = json::envelope(line, limits)?;
        let Some(method) = method else {
            return Ok(Call { id, request: Request::Response });
        };
        let request = match &*method {
            "mining.submit" => match Self::parse_submit(&params, peer) {
                Ok(request) => request,
                Err(garbage) => return Err((id, garbage)),
            },
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
            "mining.ping" | "mining.submit_hashrate" | "mining.hashrate" | "eth_submitHashrate" => {
                Request::Courtesy
            }
            _ => Request::Unknown,
        };
        Ok(Call { id, request })
    }

    fn render(&self, peer: &Peer<Profile>, message: Message<'_, Self>, out: &mut Vec<u8>) {
        let profile = peer.profile;
        let result = |out: &mut Vec<u8>, id: &RequestId, json: &[u8]| {
            out.extend_from_slice(b"{\"id\":");
            id.write(out);
            out.extend_from_slice(b",\"result\":");
            out.extend_from_slice(json);
            out.extend_from_slice(b",\"error\":null}\n");
        };
        let left = u64::from(peer.extranonce.free_bits() / 8);
        match message {
            Message::Subscribed { id } if profile.extranonce == ExtranonceForm::Subscribe => {
                result(out, id, format!("[null,\"{}\",{left}]", peer.extranonce).as_bytes());
            }
            Message::Subscribed { id } => result(out, id, b"[true,\"EthereumStratum/1.0.0\"]"),
            Message::Done { id }
            | Message::Welcome { id }
            | Message::Authorized { id, .. }
            | Message::LoggedIn { id, .. } => result(out, id, b"true"),
            // Nothing in this grammar asks for these.
            Message::Work { .. } | Message::Told { .. } => {}
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
                let bare = profile.extranonce_bare_method;
                let method = if bare { "set_extranonce" } else { "mining.set_extranonce" };
                begin(out, profile.minimal_json, None, method);
                push_string(out, &peer.extranonce.to_string());
                if profile.extranonce != ExtranonceForm::Notify1 {
                    out.push(b',');
                    push_number(out, left);
                }
                out.extend_from_slice(b"]}\n");
            }
            Message::SetDifficulty(work) => {
                begin(out, profile.minimal_json, None, "mining.set_difficulty");
                difficulty::write(work, out);
                out.extend_from_slice(b"]}\n");
            }
            Message::Show(text) if profile.show_message => {
                begin(out, profile.minimal_json, None, "client.show_message");
                push_string(out, text);
                out.extend_from_slice(b"]}\n");
            }
            Message::Show(_) => {}
            Message::Reconnect => {
                begin(out, profile.minimal_json, None, "client.reconnect");
                out.extend_from_slice(b"]}\n");
            }
        }
    }

    fn notify(&self, peer: &Peer<Profile>, posted: &Posted<Self>, _work: Work) -> Bytes {
        let profile = peer.profile;
        posted.line(profile.form(), |out| write_notify(&posted.job().work(), profile, out))
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
    use crate::extranonce::Extranonce;
    use proptest::prelude::*;

    fn peer(agent: &str) -> Peer<Profile> {
        let profile = DialectTable::default().profile(agent);
        Peer { profile, extranonce: Extranonce::new(0x0021, 2).unwrap() }
    }

    fn submit(agent: &str, params: &str) -> Result<Result<(JobId, KaspaSolution), Reject>, Garbage> {
        let line = format!("{{\"id\":1,\"method\":\"mining.submit\",\"params\":{params}}}");
        let dialect = Kaspa::<KaspaWork>::default();
        match dialect.parse(&Limits::default(), &peer(agent), line.as_bytes()) {
            Ok(Call { request: Request::Submit { answer, .. }, .. }) => Ok(answer),
            Ok(other) => panic!("{other:?}"),
            Err((_, garbage)) => Err(garbage),
        }
    }

    /// A real block's work: mainnet be95d8f3…; see testdata/README.md.
    fn mainnet() -> KaspaWork {
        let mut pre_pow = [0; 32];
        hex::decode_to_slice(
            "91cc6c2cb295a5d5234076a5484137d4bf4ee738619a1bfd74ae22760f25f9a5",
            &mut pre_pow,
        )
        .unwrap();
        KaspaWork { id: JobId::new(17), pre_pow, timestamp: 1_724_081_279_941, clean: true }
    }

    fn notify(profile: Profile) -> String {
        let mut out = Vec::new();
        write_notify(&mainnet(), profile, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_real_block_in_all_four_forms() {
        let array = "[\"17\",[15394875493717953681,15291762840029249571,18238340858324143807,11959631033795784308],1724081279941]";
        let big =
            "[\"17\",\"91cc6c2cb295a5d5234076a5484137d4bf4ee738619a1bfd74ae22760f25f9a5c593406b91010000\"]";
        let full = |params| {
            format!("{{\"id\":17,\"jsonrpc\":\"2.0\",\"method\":\"mining.notify\",\"params\":{params}}}\n")
        };
        let minimal = |params| format!("{{\"method\":\"mining.notify\",\"params\":{params}}}\n");
        assert_eq!(notify(peer("").profile), full(array));
        assert_eq!(notify(peer("bzminer").profile), full(big));
        assert_eq!(notify(peer("iceriver").profile), minimal(big));
        assert_eq!(notify(Profile { notify: NotifyForm::Array, ..peer("iceriver").profile }), minimal(array));
        let forms = ["", "bzminer", "iceriver"].map(|agent| peer(agent).profile.form());
        assert_eq!(forms, [0, 2, 3], "no two forms share a cached line");
    }

    #[test]
    fn submits_of_three_and_five_parameters() {
        let found = Ok(Ok((JobId::new(17), KaspaSolution { nonce: 0x0021_0000_0000_00ff })));
        for params in [
            "[\"a.w\",\"17\",\"ff\"]",
            "[\"a.w\",17,\"0xFF\"]",
            "[\"a.w\",\"17\",\"00\",\"0\",\"00000000000000ff\"]",
            "[\"\",\"017\",\"ff\",null]",
        ] {
            if params.contains("00000000000000ff") {
                assert_eq!(submit("lolMiner", params), Ok(Err(Reject::ForeignExtranonce)), "{params}");
            } else {
                assert_eq!(submit("lolMiner", params), found, "{params}");
            }
        }
        assert_eq!(submit("lolMiner", "[\"a.w\",\"17\",\"00\",\"0\",\"0000000000ff\"]"), found);
        assert_eq!(submit("GodMiner", "[\"a.w\",\"17\",9288674231451903]"), found, "a decimal number, too");
    }

    #[test]
    fn wrong_types_are_garbage_and_wrong_jobs_are_not() {
        for params in [
            "[]",
            "[\"a\",\"1\"]",
            "[1,\"1\",\"ff\"]",
            "[\"a\",{},\"ff\"]",
            "[\"a\",\"1\",255]",
            "[\"a\",\"1\",null]",
            "[\"a\",\"1\",[\"ff\"]]",
            "[\"a\",\"1\",\"\"]",
            "[\"a\",\"1\",\"xyz\"]",
        ] {
            assert!(matches!(submit("", params), Err(Garbage::Shape(_))), "{params}");
        }
        for job in ["\"\"", "\"-1\"", "-1", "1.5", "\"abc\"", "\"18446744073709551616\"", "1e3"] {
            assert_eq!(submit("", &format!("[\"a\",{job},\"ff\"]")), Ok(Err(Reject::UnknownJob)), "{job}");
        }
    }

    #[test]
    fn passwords_that_ask_for_a_difficulty() {
        let dialect = Kaspa::<KaspaWork>::default();
        for (password, hashes) in [
            ("d=4", Some(4 << 32)),
            ("x,D=0.5", Some(1 << 31)),
            ("a=1;diff=16;x", Some(16 << 32)),
            ("x", None),
            ("d=", None),
            ("d=x", None),
            ("id=4", None),
        ] {
            assert_eq!(dialect.password_work(password).map(Work::get), hashes, "{password}");
        }
    }

    #[test]
    fn texts_from_outside_are_escaped_in_replies() {
        let message = Message::Refused {
            id: &RequestId::Null,
            reject: Reject::BadAddress,
            why: Some("no \"\\\n\u{1}é"),
        };
        let mut out = Vec::new();
        Kaspa::<KaspaWork>::default().render(&peer(""), message, &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"id\":null,\"result\":null,\"error\":[24,\"no \\\"\\\\  é\",null]}\n"
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(line: Vec<u8>) {
            let _ = Kaspa::<KaspaWork>::default().parse(&Limits::default(), &peer(""), &line);
        }

        #[test]
        fn no_parameters_make_the_parser_panic(
            method in "(mining\\.(submit|subscribe|authorize|suggest_difficulty)|[a-z.]{0,8})",
            params in proptest::collection::vec("(\"[ -~]{0,24}\"|-?[0-9.e]{1,24}|null|true|\\[\\]|\\{\\})", 0..10),
            agent in "(GodMiner|x)",
        ) {
            let line = format!("{{\"id\":1,\"method\":\"{method}\",\"params\":[{}]}}", params.join(","));
            let _ = Kaspa::<KaspaWork>::default().parse(&Limits::default(), &peer(&agent), line.as_bytes());
        }
    }
}
