//! Work by HTTP: the oldest way to mine, a request and an answer at a time.
//!
//! A miner posts one line of its grammar to a path that names its account, and gets one line back. It may do so over a
//! new connection each time, so a connection is nobody here: a miner is its path. Behind each path sits a desk with a
//! [`Session`] of its own, to which a request is a line like any other; difficulty, jobs, duplicates and ladders are the
//! session's, the same as over TCP. What a session says unasked is dropped, because nobody listens: such miners poll.
//!
//! [`Getwork::answer`] knows no HTTP, [`Getwork::router`] is the HTTP around it. Nothing is spawned here. Desks are
//! bounded; one that was silent for longer than a connection may be makes room for a newcomer.

use super::application::{Application, Caller};
use super::connection::Clock;
use crate::dialect::Dialect;
use crate::extranonce::ExtranonceSpace;
use crate::session::{Action, Input, Session, SessionRules};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use pool_core::time::Moment;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// The bounds of work by HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetworkRules {
    /// Miners (paths) at once.
    pub desks_max: usize,
    /// Bytes of a request's body.
    pub body_bytes_max: usize,
    /// Bytes of a path.
    pub path_bytes_max: usize,
    /// Requests that are being answered at once; one more is turned away.
    pub requests_max: usize,
}

impl Default for GetworkRules {
    fn default() -> Self {
        Self { desks_max: 10_000, body_bytes_max: 4_096, path_bytes_max: 256, requests_max: 1_024 }
    }
}

/// Why a request has no answer of the session's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoAnswer {
    /// The path names no account.
    #[error("post to /ACCOUNT/WORKER")]
    NoAccount,
    /// The path or the body is too long.
    #[error("request too large")]
    TooLarge,
    /// The account is none, or nobody could say so.
    #[error("login refused")]
    Refused,
    /// There are as many miners, or requests under way, as may be.
    #[error("too many miners, try again later")]
    Full,
    /// A line without an answer, as a response is.
    #[error("not a request")]
    Nothing,
}

impl NoAnswer {
    const fn status(self) -> StatusCode {
        match self {
            Self::NoAccount => StatusCode::NOT_FOUND,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Refused => StatusCode::FORBIDDEN,
            Self::Full => StatusCode::SERVICE_UNAVAILABLE,
            Self::Nothing => StatusCode::BAD_REQUEST,
        }
    }
}

struct Desk<D: Dialect> {
    session: Session<D>,
    closed: bool,
}

struct Place<D: Dialect> {
    desk: Arc<tokio::sync::Mutex<Desk<D>>>,
    heard: Moment,
}

/// Work by HTTP for the miners of one coin.
pub struct Getwork<D: Dialect, A> {
    rules: GetworkRules,
    sessions: Arc<SessionRules<D>>,
    space: ExtranonceSpace,
    application: Arc<A>,
    clock: Clock,
    desks: Mutex<HashMap<Box<str>, Place<D>>>,
    requests: Semaphore,
}

impl<D: Dialect, A> std::fmt::Debug for Getwork<D, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Getwork").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl<D: Dialect, A: Application<D>> Getwork<D, A> {
    /// Desks for miners by HTTP. `sessions` are the rules of the coin's [`super::Server`], whose jobs these miners get,
    /// too; `space` is any: in such grammars a connection has no part of the nonce space.
    #[must_use]
    pub fn new(
        rules: GetworkRules,
        sessions: Arc<SessionRules<D>>,
        space: ExtranonceSpace,
        application: Arc<A>,
    ) -> Self {
        let requests = Semaphore::new(rules.requests_max.clamp(1, Semaphore::MAX_PERMITS));
        Self { rules, sessions, space, application, clock: Clock::start(), desks: Mutex::default(), requests }
    }

    /// The answer to a body that was posted to a path. Requests of one miner are answered one after another.
    ///
    /// # Errors
    /// [`NoAnswer`] where the grammar itself has no words for what is wrong.
    pub async fn answer(&self, path: &str, body: &[u8], caller: Caller) -> Result<Vec<u8>, NoAnswer> {
        if path.len() > self.rules.path_bytes_max || body.len() > self.rules.body_bytes_max {
            return Err(NoAnswer::TooLarge);
        }
        let _place = self.requests.try_acquire().map_err(|_none_left| NoAnswer::Full)?;
        let login = self.sessions.dialect().http_login(path).ok_or(NoAnswer::NoAccount)?;
        let desk = self.desk(path)?;
        let mut desk = desk.lock().await;
        let now = self.clock.now();
        desk.session.handle(now, Input::Tick);
        self.drive(&mut desk, now, caller).await;
        if desk.session.workers().next().is_none() {
            desk.session.handle(now, Input::Frame(&login));
            let said = self.drive(&mut desk, now, caller).await;
            if desk.session.workers().next().is_none() {
                self.leave(path);
                return said.ok_or(NoAnswer::Refused);
            }
        }
        // A body may be pretty-printed; a line may not.
        let line: Vec<u8> =
            body.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }).collect();
        desk.session.handle(now, Input::Frame(line.trim_ascii()));
        let said = self.drive(&mut desk, now, caller).await;
        if desk.closed {
            self.leave(path);
        }
        said.ok_or(NoAnswer::Nothing)
    }

    /// The desk behind a path, opened if there is room.
    fn desk(&self, path: &str) -> Result<Arc<tokio::sync::Mutex<Desk<D>>>, NoAnswer> {
        let now = self.clock.now();
        let mut desks = self.desks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = desks.get_mut(path) {
            place.heard = now;
            return Ok(Arc::clone(&place.desk));
        }
        if desks.len() >= self.rules.desks_max.max(1) {
            let idle = self.sessions.limits().idle();
            desks.retain(|_, place| place.heard.after(idle) > now);
            if desks.len() >= self.rules.desks_max.max(1) {
                return Err(NoAnswer::Full);
            }
        }
        let lease = self.space.take(now).map_err(|_none_left| NoAnswer::Full)?;
        let session = Session::new(Arc::clone(&self.sessions), lease, now);
        let desk = Arc::new(tokio::sync::Mutex::new(Desk { session, closed: false }));
        desks.insert(path.into(), Place { desk: Arc::clone(&desk), heard: now });
        Ok(desk)
    }

    fn leave(&self, path: &str) {
        self.desks.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
    }

    /// Does what the session wants. Returns the first thing it says: the answer, if anything was asked.
    async fn drive(&self, desk: &mut Desk<D>, now: Moment, caller: Caller) -> Option<Vec<u8>> {
        let mut said = None;
        let application = &*self.application;
        while let Some(action) = desk.session.poll() {
            match action {
                Action::Send(bytes) => {
                    said.get_or_insert_with(|| bytes.to_vec());
                }
                // Who polls is not told.
                Action::Notify(_) => {}
                Action::Login { ticket, user, password } => {
                    let result = application.login(&user, &password, caller).await;
                    desk.session.handle(now, Input::LoggedIn { ticket, result });
                }
                Action::Prove(submission) => {
                    let ticket = submission.ticket;
                    let outcome = application.submit(submission).await;
                    desk.session.handle(self.clock.now(), Input::Settled { ticket, outcome });
                }
                Action::Ask { ticket, worker, payload } => {
                    let result = application.ask(worker, payload, caller).await;
                    desk.session.handle(now, Input::Told { ticket, result });
                }
                Action::Remember { worker, work } => application.remember(worker, work).await,
                Action::Close(_) => desk.closed = true,
            }
        }
        said
    }

    /// The HTTP around [`Getwork::answer`]: `POST` to any path. To be served with the peers' addresses
    /// (`into_make_service_with_connect_info::<SocketAddr>()`).
    pub fn router(self: Arc<Self>) -> Router {
        let limit = DefaultBodyLimit::max(self.rules.body_bytes_max);
        Router::new().fallback_service(post(respond::<D, A>).with_state(self)).layer(limit)
    }
}

async fn respond<D: Dialect, A: Application<D>>(
    State(getwork): State<Arc<Getwork<D, A>>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    uri: Uri,
    body: Bytes,
) -> Response {
    // A submission that was begun is driven to its end even if the miner hangs up meanwhile.
    let answer =
        tokio::spawn(async move { getwork.answer(uri.path(), &body, Caller { address, tls: false }).await });
    match answer.await {
        Ok(Ok(line)) => ([(header::CONTENT_TYPE, "application/json")], line).into_response(),
        Ok(Err(none)) => (none.status(), none.to_string()).into_response(),
        Err(_ended) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
