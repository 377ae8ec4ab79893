//! What a coin's miners write and read, as a value.
//!
//! A [`Dialect`] turns a line into a [`Request`] and a [`Message`] into a line, and knows nothing else: no state, no
//! clock, no jobs but the one it is shown. Everything that is the same for all coins is the session's. Two shapes of
//! protocol fit: subscribe and authorize, then difficulty and job as notifications of their own; and one login whose
//! reply carries the first job with its target ([`Request::Login`], [`Message::LoggedIn`]). Miners that ask for work
//! instead of waiting for it are served, too ([`Request::Poll`], [`Message::Work`]).
//!
//! Miner families differ within one coin, and whole grammars do. What was decided for a connection is the dialect's
//! [`Dialect::Profile`], a small value that is handed to every call: found from the first line ([`Dialect::hail`]),
//! which tells grammars apart on one port, and once more from the user agent ([`Dialect::profile`]).

pub mod alephium;
pub mod dynex;
pub mod hypra;
pub mod kaspa;
pub mod nexa;

use crate::extranonce::Extranonce;
use crate::jobs::Posted;
use bytes::Bytes;
use pool_core::id::JobId;
use pool_core::limits::Limits;
use pool_core::share::Reject;
use pool_core::units::{Target, Work};
use std::borrow::Cow;
use std::fmt::Debug;

/// A request's id, to be echoed as it came: 1 stays 1, "1" stays "1".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestId {
    /// `null`, or none at all.
    Null,
    /// A whole number below 2^64 in its plain spelling.
    Number(u64),
    /// Any other number or string: its JSON text.
    Text(Box<str>),
}

impl RequestId {
    /// From JSON text of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// [`Garbage::LongId`] and [`Garbage::BadId`] for what is no number, string or `null`.
    pub fn parse(json: &str, bytes_max: usize) -> Result<Self, Garbage> {
        if json.len() > bytes_max {
            return Err(Garbage::LongId);
        }
        let plain = |digits: &str| digits == "0" || digits.starts_with(|c: char| ('1'..='9').contains(&c));
        match json.as_bytes().first() {
            Some(b'n') => Ok(Self::Null),
            Some(b'"' | b'-' | b'0'..=b'9') => match json.parse() {
                Ok(number) if plain(json) => Ok(Self::Number(number)),
                _ => Ok(Self::Text(json.into())),
            },
            _ => Err(Garbage::BadId),
        }
    }

    /// Appends the JSON text.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Number(number) => crate::json::push_number(out, *number),
            Self::Text(json) => out.extend_from_slice(json.as_bytes()),
        }
    }
}

/// A line that is no request. Counted against the peer; the text is for its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Garbage {
    /// Not JSON, or not an object.
    #[error("malformed request: not a JSON object")]
    NotJson,
    /// Nested too deep.
    #[error("malformed request: nested too deep")]
    Deep,
    /// The id is too long to be echoed.
    #[error("malformed request: id too long")]
    LongId,
    /// The id is no number and no string.
    #[error("malformed request: id must be a number or a string")]
    BadId,
    /// JSON of the wrong shape.
    #[error("malformed request: {0}")]
    Shape(&'static str),
}

/// What a session knows of its peer, given to every call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer<P> {
    /// What the dialect decided from the user agent.
    pub profile: P,
    /// The connection's part of the nonce space.
    pub extranonce: Extranonce,
}

/// A line, understood.
#[derive(Debug)]
pub struct Call<'a, S> {
    /// To be echoed.
    pub id: RequestId,
    /// What is asked.
    pub request: Request<'a, S>,
}

/// What a miner asks. `S` is the dialect's solution.
#[derive(Debug)]
pub enum Request<'a, S> {
    /// The miner greets and says which protocol it speaks; the subscribe is yet to come.
    Hello {
        /// As in [`Request::Subscribe`].
        agent: Cow<'a, str>,
    },
    /// The miner introduces itself.
    Subscribe {
        /// Its name and version; empty if it has none.
        agent: Cow<'a, str>,
    },
    /// The miner understands changes of its extranonce.
    ExtranonceSubscribe,
    /// Who is to be paid.
    Authorize {
        /// Account and worker as the miner spells them.
        user: Cow<'a, str>,
        /// Mostly `x`; may carry options.
        password: Cow<'a, str>,
    },
    /// Subscribe and authorize in one; the reply carries the first job.
    Login {
        /// As in [`Request::Subscribe`].
        agent: Cow<'a, str>,
        /// As in [`Request::Authorize`].
        user: Cow<'a, str>,
        /// As in [`Request::Authorize`].
        password: Cow<'a, str>,
    },
    /// A solution. Which job and which solution, or why it is none.
    Submit {
        /// As in [`Request::Authorize`]; picks one of several authorized workers and proves nothing.
        user: Cow<'a, str>,
        /// The job and the solution, with the connection's extranonce in it.
        answer: Result<(JobId, S), Reject>,
    },
    /// The miner would like shares of this work; `None` if it said nothing usable.
    Suggest {
        /// The work.
        work: Option<Work>,
    },
    /// The miner would like to be told its job now.
    Poll,
    /// Something that is answered with `true` and has no effect (keepalives, hash rate reports).
    Courtesy,
    /// Something without effect that has an answer of its own: the whole line, LF included.
    Reply(Vec<u8>),
    /// Something for a service behind the pool, opaque to it; answered by [`Message::Told`].
    Ask {
        /// What to pass on.
        payload: Cow<'a, str>,
    },
    /// A response to something we sent: no reply.
    Response,
    /// A method this dialect does not have.
    Unknown,
}

/// What a session tells a miner.
#[derive(Debug)]
pub enum Message<'a, D: Dialect> {
    /// The reply to [`Request::Hello`].
    Welcome {
        /// To whom.
        id: &'a RequestId,
    },
    /// The reply to a subscribe.
    Subscribed {
        /// To whom.
        id: &'a RequestId,
    },
    /// The reply `true`.
    Done {
        /// To whom.
        id: &'a RequestId,
    },
    /// The reply to an authorize.
    Authorized {
        /// To whom.
        id: &'a RequestId,
        /// The worker's place among those of this connection, from 0; see [`Dialect::names`].
        worker: usize,
    },
    /// The reply to [`Request::Poll`], with the job now and its work if there is one.
    Work {
        /// To whom.
        id: &'a RequestId,
        /// The job now.
        job: Option<(&'a Posted<D>, Work)>,
    },
    /// The reply to [`Request::Ask`].
    Told {
        /// To whom.
        id: &'a RequestId,
        /// What the service said.
        payload: &'a str,
    },
    /// The reply to a login, with the first job and its work if there is one.
    LoggedIn {
        /// To whom.
        id: &'a RequestId,
        /// The job now.
        first: Option<(&'a Posted<D>, Work)>,
    },
    /// An error as the reply.
    Refused {
        /// To whom.
        id: &'a RequestId,
        /// What kind.
        reject: Reject,
        /// A text better than the kind's own.
        why: Option<&'a str>,
    },
    /// The extranonce, as a notification.
    SetExtranonce,
    /// The work of shares from the next job on.
    SetDifficulty(
        /// The work.
        Work,
    ),
    /// A text for the miner's screen.
    Show(
        /// The text.
        &'a str,
    ),
    /// Please connect again.
    Reconnect,
}

/// When the extranonce is announced by a notification of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtranonceMoment {
    /// Right after the reply to subscribe.
    Subscribed,
    /// After the first authorize, before the first difficulty.
    Authorized,
}

/// The grammar of one coin's miners. A value: its configuration, shared by all sessions.
pub trait Dialect: Debug + Sized + Send + Sync + 'static {
    /// The coin's job.
    type Job: Debug + Send + Sync + 'static;
    /// A whole solution, in numbers: two texts that mean the same are equal. It is half of the duplicate key.
    type Solution: Debug + Clone + Ord + Send + Sync + 'static;
    /// What is decided per miner family.
    type Profile: Debug + Copy + PartialEq + Send + Sync + 'static;
    /// How many different lines announce one job, to be rendered once each.
    const FORMS: usize;
    /// True where some grammar gives a connection no part of the nonce space for its own: then the same solution may
    /// come over two connections, and is looked for among those of all.
    const SHARED_SPACE: bool = false;

    /// What miners call the job.
    fn job_id(job: &Self::Job) -> JobId;

    /// True when the same solution solves both: then it is paid once.
    fn same_work(one: &Self::Job, other: &Self::Job) -> bool;

    /// True when all jobs before this one have become worthless.
    fn retires_older(job: &Self::Job) -> bool;

    /// What is known of a peer from its first line, before that is parsed; from an empty line, of one that said nothing.
    fn hail(&self, first_line: &[u8]) -> Self::Profile;

    /// The family behind a user agent, for a peer that hailed like this; the empty agent is one nothing is known of.
    fn profile(&self, hailed: Self::Profile, agent: &str) -> Self::Profile;

    /// True for grammars in which a subscribe comes before the authorize.
    fn subscribes(&self, _profile: Self::Profile) -> bool {
        true
    }

    /// For a grammar that is also spoken by HTTP: the line that logs in whom a request's path names.
    fn http_login(&self, _path: &str) -> Option<Vec<u8>> {
        None
    }

    /// True when a solution that names no job of this connection may be tried on this one, which it was given. For
    /// firmware that is known to mix up the names; asked of the newest jobs in turn until one fits, so that a submit
    /// still costs one proof.
    fn stands_in(&self, _peer: &Peer<Self::Profile>, _job: &Self::Job, _solution: &Self::Solution) -> bool {
        false
    }

    /// True when a submit's `user` is this grammar's own name for the connection's worker at this place, beside the
    /// name it logged in with.
    fn names(&self, _profile: Self::Profile, _worker: usize, _user: &str) -> bool {
        false
    }

    /// True for families that only understand difficulties that are powers of two.
    fn power_of_two(&self, profile: Self::Profile) -> bool;

    /// When [`Message::SetExtranonce`] is due.
    fn extranonce_moment(&self, profile: Self::Profile) -> ExtranonceMoment;

    /// Understands a line. Never panics, never allocates more than the line's own size.
    ///
    /// # Errors
    /// The id, as far as there is one, and [`Garbage`] for a line that is no request.
    fn parse<'a>(
        &self,
        limits: &Limits,
        peer: &Peer<Self::Profile>,
        line: &'a [u8],
    ) -> Result<Call<'a, Self::Solution>, (RequestId, Garbage)>;

    /// Appends the message's line, LF included. Appends nothing where the family has no such message.
    fn render(&self, peer: &Peer<Self::Profile>, message: Message<'_, Self>, out: &mut Vec<u8>);

    /// The line that announces a job, LF included; from [`Posted::line`] where it is the same for many.
    fn notify(&self, peer: &Peer<Self::Profile>, posted: &Posted<Self>, work: Work) -> Bytes;

    /// The target of a share of `work`.
    fn share_target(&self, work: Work) -> Target;

    /// The work that a password asks for (`d=`).
    fn password_work(&self, password: &str) -> Option<Work>;
}
