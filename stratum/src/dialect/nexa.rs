//! Nexa: JSON lines in Bitcoin's manner, in two grammars that share their methods and nothing else.
//!
//! |  | short | Echelon 1.0.4 |
//! |---|---|---|
//! | nonce | 12 bytes | 16 bytes |
//! | extranonce in the reply to subscribe | 4 bytes, then the number 4 (a habit; nothing uses it) | 8 bytes, then 8 |
//! | notify | job, commitment in hashing order, height, bits | job, commitment as the node prints it, bits, time, clean |
//! | submit | worker, job, the extranonce again, time, 8 bytes | worker, job, 16 bytes, time |
//!
//! The bytes of a nonce are hashed in the order they are written, behind their number in one byte, so the same work
//! under the two grammars never yields the same solution. Which grammar a connection speaks is [`table`]'s to say, from
//! its first line and its user agent; a pool needs one port for both.
//!
//! A connection's prefix ([`crate::extranonce`]) has up to four bytes; zeros fill it up to what the grammar hands
//! out. A rental service that appends bytes of its own gets the prefix with fewer zeros or none, and may fill the
//! rest of the place as it likes: what it then submits is read whole.
//!
//! Difficulty 1 is the target `0xffff × 2^208`, and numbers on the wire are work in units of 2^32 hashes: what a miner
//! computes from them is [`share_target`], to the last bit. (The work of that target is one part in 65 535 more, which
//! is what a share is worth.) Replies are `{"id":…,"result":…,"error":…}`; error codes are 20 (anything else), 21 (job),
//! 22 (duplicate), 23 (difficulty), 24 (not authorized) and 25 (not subscribed). Sources: see [`table`].

pub mod table;

use super::kaspa::difficulty;
use super::{Call, Dialect, ExtranonceMoment, Garbage, Message, Peer, Request, RequestId};
use crate::jobs::Posted;
use crate::json::{self, push_hex, push_number, push_string};
use bytes::Bytes;
use pool_core::id::JobId;
use pool_core::limits::Limits;
use pool_core::share::Reject;
use pool_core::units::{Target, U256, Work};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
pub use table::{BadNexaRow, Form, NexaRow, NexaTable, Profile};

/// What a notification says of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NexaWork {
    /// What miners call it.
    pub id: JobId,
    /// What the nonce is hashed behind, in hashing order: the reverse of what a node prints.
    pub commitment: [u8; 32],
    /// The height of the block that is sought.
    pub height: u64,
    /// The network's target in compact form.
    pub bits: u32,
    /// The chain moved on: older work is worthless.
    pub clean: bool,
}

/// A whole nonce, as it is hashed. At most 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NexaNonce {
    len: u8,
    /// Zeros behind `len`.
    bytes: [u8; 16],
}

impl NexaNonce {
    /// `None` above 16 bytes.
    #[must_use]
    pub fn new(nonce: &[u8]) -> Option<Self> {
        let mut bytes = [0; 16];
        bytes.get_mut(..nonce.len())?.copy_from_slice(nonce);
        Some(Self { len: nonce.len() as u8, bytes })
    }

    /// The bytes in hashing order.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Debug for NexaNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NexaNonce(")?;
        for byte in self.bytes() {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

/// What a miner found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NexaSolution {
    /// The whole nonce, extranonce included.
    pub nonce: NexaNonce,
}

/// A job that Nexa's miners can be told of. The coin's job implements it; [`NexaWork`] is one by itself.
pub trait NexaPuzzle: fmt::Debug + Send + Sync + 'static {
    /// What to tell.
    fn work(&self) -> NexaWork;
}

impl NexaPuzzle for NexaWork {
    fn work(&self) -> NexaWork {
        *self
    }
}

/// Nexa's dialects for jobs of type `J`.
pub struct Nexa<J = NexaWork> {
    table: NexaTable,
    job: PhantomData<fn() -> J>,
}

impl<J> Nexa<J> {
    /// The dialects with a table of families.
    #[must_use]
    pub const fn new(table: NexaTable) -> Self {
        Self { table, job: PhantomData }
    }
}

impl<J> Default for Nexa<J> {
    fn default() -> Self {
        Self::new(NexaTable::default())
    }
}

impl<J> fmt::Debug for Nexa<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nexa").field("table", &self.table).finish()
    }
}

/// The easiest hash that a share of `work` may have: `floor(0xffff × 2^240 / work)`.
#[must_use]
pub fn share_target(work: Work) -> Target {
    Target::new((U256::from(0xffff_u32) << 240) / U256::from(work.get()))
}

/// The bytes a connection's nonces begin with: its prefix, and zeros up to what its family is handed.
fn handed(peer: &Peer<Profile>) -> ([u8; 8], usize) {
    let width = usize::from(peer.extranonce.width());
    let mut bytes = [0; 8];
    bytes[..width].copy_from_slice(&peer.extranonce.value().to_be_bytes()[4 - width..]);
    (bytes, width.max(usize::from(peer.profile.extranonce_len)))
}

/// Exactly `N` bytes of hexadecimal digits.
fn hex_bytes<const N: usize>(text: &str) -> Result<[u8; N], Reject> {
    let mut bytes = [0; N];
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return Err(Reject::BadNonce);
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
        let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
        let (Some(high), Some(low)) = (high, low) else { return Err(Reject::BadNonce) };
        *byte = (high << 4 | low) as u8;
    }
    Ok(bytes)
}

/// A whole nonce that must begin with the connection's extranonce.
fn owned(peer: &Peer<Profile>, nonce: &[u8]) -> Result<NexaSolution, Reject> {
    let (prefix, length) = handed(peer);
    if !nonce.starts_with(&prefix[..length]) {
        return Err(Reject::ForeignExtranonce);
    }
    NexaNonce::new(nonce).map(|nonce| NexaSolution { nonce }).ok_or(Reject::BadNonce)
}

/// Code and text of an error reply.
fn error_of(reject: Reject) -> (u64, Cow<'static, str>) {
    match reject {
        Reject::UnknownJob => (21, "job not found".into()),
        Reject::Stale => (21, "stale job".into()),
        Reject::Duplicate => (22, "duplicate share".into()),
        Reject::LowDifficulty => (23, "low difficulty share".into()),
        Reject::Unauthorized => (24, "unauthorized worker".into()),
        Reject::BadAddress => (24, "invalid address".into()),
        Reject::NotSubscribed => (25, "not subscribed".into()),
        other => (20, other.to_string().into()),
    }
}

fn write_notify(work: &NexaWork, form: Form, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"");
    push_number(out, work.id.get());
    out.extend_from_slice(b"\",\"");
    match form {
        Form::Short => {
            push_hex(out, &work.commitment);
            out.extend_from_slice(b"\",");
            push_number(out, work.height);
            out.extend_from_slice(b",\"");
            push_hex(out, &work.bits.to_be_bytes());
            out.extend_from_slice(b"\"]}\n");
        }
        Form::Echelon => {
            let mut display = work.commitment;
            display.reverse();
            push_hex(out, &display);
            out.extend_from_slice(b"\",\"");
            push_hex(out, &work.bits.to_be_bytes());
            out.extend_from_slice(b"\",\"0000000000000000\",");
            out.extend_from_slice(if work.clean { b"true" } else { b"false" });
            out.extend_from_slice(b"]}\n");
        }
    }
}

fn parse_submit<'a>(
    params: &json::Params<'a>,
    peer: &Peer<Profile>,
) -> Result<Request<'a, NexaSolution>, Garbage> {
    let user = params.text(0).ok_or(Garbage::Shape("submit's worker is not a string"))?;
    let job = params.text_or_number(1).ok_or(Garbage::Shape("submit's job is no string or number"))?;
    let text = |place, what| params.text(place).ok_or(Garbage::Shape(what));
    let solution = match peer.profile.form {
        Form::Short => {
            let extranonce = text(2, "submit's extranonce is not a string")?;
            let nonce = text(4, "submit's nonce is not a string")?;
            hex_bytes::<4>(&extranonce)
                .and_then(|first| Ok([&first[..], &hex_bytes::<8>(&nonce)?].concat()))
                .and_then(|whole| owned(peer, &whole))
        }
        Form::Echelon => {
            let nonce = text(2, "submit's nonce is not a string")?;
            hex_bytes::<16>(&nonce).and_then(|whole| owned(peer, &whole))
        }
    };
    let plain = !job.is_empty() && job.bytes().all(|byte| byte.is_ascii_digit());
    let answer = match job.parse().ok().filter(|_| plain) {
        Some(job) => solution.map(|solution| (JobId::new(job), solution)),
        None => Err(Reject::UnknownJob),
    };
    Ok(Request::Submit { user, answer })
}

impl<J: NexaPuzzle> Dialect for Nexa<J> {
    type Job = J;
    type Solution = NexaSolution;
    type Profile = Profile;
    const FORMS: usize = 2;

    fn job_id(job: &J) -> JobId {
        job.work().id
    }

    fn same_work(one: &J, other: &J) -> bool {
        one.work().commitment == other.work().commitment
    }

    fn retires_older(job: &J) -> bool {
        job.work().clean
    }

    fn hail(&self, first_line: &[u8]) -> Profile {
        self.table.hailed(first_line)
    }

    fn profile(&self, hailed: Profile, agent: &str) -> Profile {
        self.table.profile(hailed, agent)
    }

    fn power_of_two(&self, _profile: Profile) -> bool {
        false
    }

    fn extranonce_moment(&self, _profile: Profile) -> ExtranonceMoment {
        ExtranonceMoment::Subscribed
    }

    fn parse<'a>(
        &self,
        limits: &Limits,
        peer: &Peer<Profile>,
        line: &'a [u8],
    ) -> Result<Call<'a, NexaSolution>, (RequestId, Garbage)> {
        let json::Envelope { id, method, params, .. } = json::envelope(line, limits)?;
        let Some(method) = method else {
            return Ok(Call { id, request: Request::Response });
        };
        let request = match &*method {
            "mining.submit" => match parse_submit(&params, peer) {
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
        let begin = |out: &mut Vec<u8>, id: &RequestId| {
            out.extend_from_slice(b"{\"id\":");
            id.write(out);
            out.extend_from_slice(b",\"result\":");
        };
        match message {
            Message::Subscribed { id } => {
                let (prefix, length) = handed(peer);
                begin(out, id);
                let mut session = Vec::new();
                push_hex(&mut session, &prefix[..usize::from(peer.extranonce.width())]);
                out.extend_from_slice(b"[[[\"mining.set_difficulty\",\"");
                out.extend_from_slice(&session);
                out.extend_from_slice(b"\"],[\"mining.notify\",\"");
                out.extend_from_slice(&session);
                out.extend_from_slice(b"\"]],\"");
                push_hex(out, &prefix[..length]);
                out.extend_from_slice(b"\",");
                let rest = match peer.profile.form {
                    Form::Short => 4,
                    Form::Echelon => (Form::Echelon.nonce_len() - length) as u64,
                };
                push_number(out, rest);
                out.extend_from_slice(b"],\"error\":null}\n");
            }
            Message::Done { id }
            | Message::Welcome { id }
            | Message::Authorized { id, .. }
            | Message::LoggedIn { id, .. } => {
                begin(out, id);
                out.extend_from_slice(b"true,\"error\":null}\n");
            }
            // Nothing in these grammars asks for the first two; the extranonce stands in the reply to subscribe, and
            // no family is known that reads a text.
            Message::Work { .. } | Message::Told { .. } | Message::SetExtranonce | Message::Show(_) => {}
            Message::Refused { id, reject, why } => {
                let (code, text) = error_of(reject);
                begin(out, id);
                out.extend_from_slice(b"null,\"error\":[");
                push_number(out, code);
                out.push(b',');
                push_string(out, why.unwrap_or(&text));
                out.extend_from_slice(b",null]}\n");
            }
            Message::SetDifficulty(work) => {
                out.extend_from_slice(b"{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[");
                difficulty::write(work, out);
                out.extend_from_slice(b"]}\n");
            }
            Message::Reconnect => {
                out.extend_from_slice(b"{\"id\":null,\"method\":\"client.reconnect\",\"params\":[]}\n");
            }
        }
    }

    fn notify(&self, peer: &Peer<Profile>, posted: &Posted<Self>, _work: Work) -> Bytes {
        let form = peer.profile.form;
        posted.line(form as usize, |out| write_notify(&posted.job().work(), form, out))
    }

    fn share_target(&self, work: Work) -> Target {
        share_target(work)
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

    fn peer(agent: &str, value: u32, width: u8) -> Peer<Profile> {
        let table = NexaTable::default();
        let profile = table.profile(table.hailed(b""), agent);
        Peer { profile, extranonce: Extranonce::new(value, width).unwrap() }
    }

    fn hash(text: &str) -> [u8; 32] {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).unwrap();
        bytes
    }

    /// Mainnet block 236856; see testdata/README.md.
    fn mainnet() -> NexaWork {
        let commitment = hash("aa02d01f73451bc848d87443644cef4d16fd210de28651a945db967ac17a4df9");
        NexaWork { id: JobId::new(1), commitment, height: 236_856, bits: 0x1a30_4900, clean: true }
    }

    fn submit(peer: &Peer<Profile>, params: &str) -> Result<Result<(JobId, NexaSolution), Reject>, Garbage> {
        let line = format!("{{\"id\":1,\"method\":\"mining.submit\",\"params\":{params}}}");
        match Nexa::<NexaWork>::default().parse(&Limits::default(), peer, line.as_bytes()) {
            Ok(Call { request: Request::Submit { answer, .. }, .. }) => Ok(answer),
            Ok(other) => panic!("{other:?}"),
            Err((_, garbage)) => Err(garbage),
        }
    }

    fn nonce(text: &str) -> NexaSolution {
        NexaSolution { nonce: NexaNonce::new(&hex::decode(text).unwrap()).unwrap() }
    }

    fn said(peer: &Peer<Profile>, message: Message<'_, Nexa>) -> String {
        let mut out = Vec::new();
        Nexa::<NexaWork>::default().render(peer, message, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn notify(work: &NexaWork, form: Form) -> String {
        let mut out = Vec::new();
        write_notify(work, form, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_published_short_conversation() {
        let peer = peer("wildrig/0.0.0", 0xfa09_21f5, 4);
        assert_eq!(
            said(&peer, Message::Subscribed { id: &RequestId::Number(1) }),
            "{\"id\":1,\"result\":[[[\"mining.set_difficulty\",\"fa0921f5\"],[\"mining.notify\",\"fa0921f5\"]],\"fa0921f5\",4],\"error\":null}\n"
        );
        assert_eq!(
            said(&peer, Message::SetDifficulty(Work::new(1000 << 32).unwrap())),
            "{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[1000]}\n"
        );
        assert_eq!(
            notify(&mainnet(), Form::Short),
            "{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"1\",\"aa02d01f73451bc848d87443644cef4d16fd210de28651a945db967ac17a4df9\",236856,\"1a304900\"]}\n"
        );
        let params = r#"["nexa:nqtsq5g59905h37stp0emhdjh3q2ll7d002cyjq0chegptj3.rig1","1","fa0921f5","00000000","5803629697ea7100"]"#;
        assert_eq!(submit(&peer, params), Ok(Ok((JobId::new(1), nonce("fa0921f55803629697ea7100")))));
    }

    #[test]
    fn the_published_echelon_conversation() {
        let peer = peer("bzminer/0.0.0", 0x1000, 2);
        assert_eq!(
            said(&peer, Message::Subscribed { id: &RequestId::Number(1) }),
            "{\"id\":1,\"result\":[[[\"mining.set_difficulty\",\"1000\"],[\"mining.notify\",\"1000\"]],\"1000000000000000\",8],\"error\":null}\n"
        );
        let mut commitment = hash("0a4ac49b2d02e3c8d12c7093255ba7c49624f9c374d9f1c2f8e37c58705e74b0");
        commitment.reverse();
        let work = NexaWork { id: JobId::new(1), commitment, height: 7, bits: 0x1b02_0f03, clean: true };
        assert_eq!(
            notify(&work, Form::Echelon),
            "{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"1\",\"0a4ac49b2d02e3c8d12c7093255ba7c49624f9c374d9f1c2f8e37c58705e74b0\",\"1b020f03\",\"0000000000000000\",true]}\n"
        );
        assert!(notify(&NexaWork { clean: false, ..work }, Form::Echelon).ends_with(",false]}\n"));
        let params = r#"["a.rig1","1","10000000000000001182dc5800000000","0000000000000000"]"#;
        assert_eq!(submit(&peer, params), Ok(Ok((JobId::new(1), nonce("10000000000000001182dc5800000000")))));
    }

    #[test]
    fn a_nonce_has_its_length_and_its_owner() {
        let short = peer("", 0x1000, 2);
        let of = |extranonce: &str, nonce: &str| {
            submit(&short, &format!(r#"["a","1","{extranonce}","0","{nonce}"]"#)).unwrap()
        };
        let ours = nonce("1000000058036296 97ea71aa".replace(' ', "").as_str());
        assert_eq!(of("10000000", "5803629697EA71aa"), Ok((JobId::new(1), ours)), "digits of any case");
        assert_eq!(of("10000001", "5803629697ea71aa"), Err(Reject::ForeignExtranonce));
        assert_eq!(of("20000000", "5803629697ea71aa"), Err(Reject::ForeignExtranonce));
        for (extranonce, nonce) in [
            ("1000", "5803629697ea71aa"),
            ("10000000", "5803629697ea71"),
            ("10000000", "5803629697ea71aa00"),
            ("10000000", "0x03629697ea71aa"),
            ("10000000", "5803629697ea71ag"),
            ("10000000", "5803629697ea71é"),
            ("+1000000", "5803629697ea71aa"),
            ("", ""),
        ] {
            assert_eq!(of(extranonce, nonce), Err(Reject::BadNonce), "{extranonce} {nonce}");
        }
        let echelon = peer("bzminer", 0x1000, 2);
        let of = |nonce: &str| submit(&echelon, &format!(r#"["a","1","{nonce}","0"]"#)).unwrap();
        assert_eq!(of("1000000000000001aaaaaaaaaaaaaaaa"), Err(Reject::ForeignExtranonce));
        assert_eq!(of("1000000000000000aaaaaaaaaaaaaa"), Err(Reject::BadNonce));
    }

    #[test]
    fn a_rental_service_fills_the_place_up() {
        let short = peer("NiceHash/1.0.0", 0xabcd, 2);
        assert!(said(&short, Message::Subscribed { id: &RequestId::Null }).contains("]],\"abcd\",4]"));
        let of =
            |extranonce: &str| submit(&short, &format!(r#"["a","1","{extranonce}","0","5803629697ea71aa"]"#));
        assert_eq!(of("abcd1234"), Ok(Ok((JobId::new(1), nonce("abcd12345803629697ea71aa")))));
        assert_eq!(of("abce1234"), Ok(Err(Reject::ForeignExtranonce)));
        let row = NexaRow { agent_contains: "x".into(), form: Form::Echelon, extranonce_bytes: Some(6) };
        let table = NexaTable::new(&[row], Form::Short).unwrap();
        let profile = table.profile(table.hailed(b""), "x");
        let echelon = Peer { profile, ..short };
        assert!(
            said(&echelon, Message::Subscribed { id: &RequestId::Null }).contains("]],\"abcd00000000\",10]")
        );
        let params = r#"["a","1","abcd00000000ffffaaaaaaaaaaaaaaaa","0"]"#;
        assert!(matches!(submit(&echelon, params), Ok(Ok(_))));
    }

    #[test]
    fn wrong_types_are_garbage_and_wrong_jobs_are_not() {
        let (short, echelon) = (peer("", 1, 4), peer("rigel", 1, 4));
        for params in [
            "[]",
            "[\"a\",\"1\"]",
            "[1,\"1\",\"\",\"\",\"\"]",
            "[\"a\",{},\"\",\"\",\"\"]",
            "[\"a\",\"1\",5,\"\",\"\"]",
        ] {
            assert!(matches!(submit(&short, params), Err(Garbage::Shape(_))), "{params}");
            assert!(matches!(submit(&echelon, params), Err(Garbage::Shape(_))), "{params}");
        }
        assert!(matches!(submit(&short, "[\"a\",\"1\",\"00000001\",\"0\"]"), Err(Garbage::Shape(_))));
        for job in ["\"\"", "\"-1\"", "-1", "1.5", "\"+1\"", "\"abc\"", "\"18446744073709551616\"", "1e3"] {
            let params = format!("[\"a\",{job},\"00000001\",\"0\",\"0000000000000000\"]");
            assert_eq!(submit(&short, &params), Ok(Err(Reject::UnknownJob)), "{job}");
        }
    }

    #[test]
    fn targets_are_what_miners_compute() {
        for (hashes, target) in [
            (1u128 << 32, "00000000ffff0000000000000000000000000000000000000000000000000000"),
            (1 << 31, "00000001fffe0000000000000000000000000000000000000000000000000000"),
        ] {
            let own = share_target(Work::new(hashes).unwrap());
            assert_eq!(own.to_string(), target);
        }
        // The mainnet block's share: its hash is worth difficulty 872861.68.
        let hash = U256::from_str_radix("13387bd9dee1d6d121680a3cea28b605b6ee0d7634907a3929b3", 16).unwrap();
        let of = |difficulty: &str| share_target(difficulty::parse(difficulty).unwrap()).get();
        assert!(hash <= of("872861.68"));
        assert!(hash > of("872861.69"));
    }

    #[test]
    fn the_two_grammars_never_share_a_cached_line() {
        assert_ne!(Form::Short as usize, Form::Echelon as usize);
        assert!((Form::Echelon as usize) < <Nexa as Dialect>::FORMS);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(line: Vec<u8>) {
            let dialect = Nexa::<NexaWork>::default();
            let _ = dialect.parse(&Limits::default(), &peer("", 1, 4), &line);
            let _ = dialect.hail(&line);
        }

        #[test]
        fn no_parameters_make_the_parser_panic(
            method in "(mining\\.(submit|subscribe|authorize|suggest_difficulty)|[a-z.]{0,8})",
            params in proptest::collection::vec("(\"[ -~]{0,33}\"|-?[0-9.e]{1,24}|null|true|\\[\\]|\\{\\})", 0..10),
            agent in "(bzminer|nicehash|x)",
        ) {
            let line = format!("{{\"id\":1,\"method\":\"{method}\",\"params\":[{}]}}", params.join(","));
            let _ = Nexa::<NexaWork>::default().parse(&Limits::default(), &peer(&agent, 7, 3), line.as_bytes());
        }

        #[test]
        fn an_accepted_nonce_begins_with_the_prefix(
            value: u32, width in 1u8..=4, agent in "(bzminer|nicehash|x)", digits in "[0-9a-f]{32}", owns: bool,
        ) {
            let value = if width == 4 { value } else { value & ((1 << (8 * width)) - 1) };
            let peer = peer(&agent, value, width);
            let (prefix, length) = handed(&peer);
            let mut digits = digits;
            if owns {
                let start: String = prefix[..length].iter().map(|byte| format!("{byte:02x}")).collect();
                digits.replace_range(..start.len(), &start);
            }
            let params = match peer.profile.form {
                Form::Short => format!(r#"["a","1","{}","0","{}"]"#, &digits[..8], &digits[8..24]),
                Form::Echelon => format!(r#"["a","1","{digits}","0"]"#),
            };
            match submit(&peer, &params).unwrap() {
                Ok((_, solution)) => {
                    prop_assert!(solution.nonce.bytes().starts_with(&prefix[..length]));
                    prop_assert_eq!(solution.nonce.bytes().len(), peer.profile.form.nonce_len());
                }
                Err(reject) => prop_assert_eq!((reject, owns), (Reject::ForeignExtranonce, false)),
            }
        }

        #[test]
        fn any_difficulty_is_a_target(hashes in 1..=u128::MAX) {
            let work = Work::new(hashes).unwrap();
            let worth = share_target(work).work().get();
            // One part in 65535 more than asked for, and never less.
            prop_assert!(worth >= hashes || hashes - worth <= 1);
            prop_assert!(worth - hashes.min(worth) <= hashes / 65_534 + 2);
        }
    }
}
