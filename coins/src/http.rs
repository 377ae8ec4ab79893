//! A node or a wallet behind HTTP: JSON-RPC 1.0 and 2.0, and plain JSON resources.
//!
//! An [`HttpPeer`] is one server that is asked questions. It trusts nothing that comes back: the whole exchange has
//! one deadline, the body a greatest length, redirects are not followed (a node that moves is a node to be
//! configured anew), no proxy is taken from the environment, and an answer that carries another question's id is
//! garbage. What the server says in words is kept apart from what goes wrong on the way:
//! [`RpcError::Answered`] is an answer, and asking somebody else will rarely change it; everything else is this
//! server's fault, and [`Failover`](crate::failover::Failover) asks the next one.
//!
//! A peer keeps its connections open between questions and may be asked several at once. It starts nothing of its
//! own accord. Passwords never reach a log line: the name of a peer is its scheme, host and port.

use crate::failover::PeerFault;
use pool_core::coin::{BoxError, NodeError};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Response, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How much of a server's own words is kept. Unit: characters.
const WORDS_MAX: usize = 400;

/// How a peer is talked to.
#[derive(Clone)]
pub struct HttpRules {
    /// How long one exchange may take, from connecting to the last byte of the answer.
    pub timeout: Duration,
    /// The longest body that is read. Unit: bytes.
    pub body_bytes_max: usize,
    /// Name and password of HTTP's basic authentication. Those in an endpoint's text go before these.
    pub login: Option<Login>,
    /// Further headers of every request, such as `X-API-KEY`: name and value.
    pub headers: Vec<(String, String)>,
    /// Where JSON-RPC is served below the endpoint, such as `/json_rpc`; empty for the endpoint itself.
    pub rpc_path: String,
}

impl Default for HttpRules {
    /// Five seconds, 32 MiB, no authentication, JSON-RPC at the endpoint itself.
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            body_bytes_max: 32 << 20,
            login: None,
            headers: Vec::new(),
            rpc_path: String::new(),
        }
    }
}

impl fmt::Debug for HttpRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("HttpRules")
            .field("timeout", &self.timeout)
            .field("body_bytes_max", &self.body_bytes_max)
            .field("login", &self.login)
            .field("headers", &headers)
            .field("rpc_path", &self.rpc_path)
            .finish()
    }
}

/// A user and the password; neither is ever printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user's name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(…)")
    }
}

/// An endpoint, or a rule, that cannot be used. The text never holds a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("node address {endpoint:?}: {why}")]
pub struct BadEndpoint {
    /// What was configured, without name and password.
    pub endpoint: String,
    /// What is wrong with it.
    pub why: String,
}

impl From<BadEndpoint> for NodeError {
    fn from(bad: BadEndpoint) -> Self {
        Self::Refused { reason: bad.to_string() }
    }
}

/// Which JSON-RPC a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonRpc {
    /// 1.0: requests name no version, answers hold `result` and `error` both.
    V1,
    /// 2.0.
    V2,
}

/// Why a question was not answered as it was meant to be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RpcError {
    /// No connection, or no whole answer in time.
    #[error("unreachable")]
    Unreachable(#[source] BoxError),
    /// HTTP's own refusal, with no JSON-RPC answer in it.
    #[error("http status {status}: {body}")]
    Status {
        /// The status code.
        status: u16,
        /// The beginning of the body: a server's own words, or JSON with them.
        body: String,
    },
    /// An answer that is none: no JSON, another question's id, too long, another shape than was asked for.
    #[error("garbage: {0}")]
    Garbage(String),
    /// The server answered with an error of its own.
    #[error("{message} ({code})")]
    Answered {
        /// The error's code; 0 where the server gave none.
        code: i64,
        /// The error's words.
        message: String,
    },
}

impl RpcError {
    /// True when the fault is the server's or the way's: the same question may succeed later, or elsewhere.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Garbage(_) => true,
            // A wrong password or a busy server says nothing about the question.
            Self::Status { status, .. } => matches!(*status, 401 | 403 | 408 | 429 | 500..),
            Self::Answered { .. } => false,
        }
    }

    /// The code of the server's own error.
    #[must_use]
    pub const fn code(&self) -> Option<i64> {
        match self {
            Self::Answered { code, .. } => Some(*code),
            Self::Unreachable(_) | Self::Status { .. } | Self::Garbage(_) => None,
        }
    }

    /// The HTTP status, where that was the answer.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            Self::Unreachable(_) | Self::Answered { .. } | Self::Garbage(_) => None,
        }
    }
}

/// A server's own error is final ([`NodeError::Refused`]), every other one is not. A coin whose node has codes that
/// mean "later" (it is loading, it has no peers, it has not caught up) looks at [`RpcError::code`] before it
/// converts: a block must not be given up for those.
impl From<RpcError> for NodeError {
    fn from(error: RpcError) -> Self {
        match error {
            RpcError::Unreachable(cause) => Self::Unreachable(cause),
            RpcError::Garbage(what) => Self::Garbage(what),
            error @ RpcError::Status { .. } if error.is_transient() => Self::Unreachable(error.into()),
            error @ (RpcError::Status { .. } | RpcError::Answered { .. }) => {
                Self::Refused { reason: error.to_string() }
            }
        }
    }
}

impl PeerFault for RpcError {
    fn is_peers(&self) -> bool {
        self.is_transient()
    }
}

/// One server.
#[derive(Debug)]
pub struct HttpPeer {
    name: String,
    base: Url,
    rpc: Url,
    login: Option<Login>,
    timeout: Duration,
    body_bytes_max: usize,
    client: Client,
    next_id: AtomicU64,
}

impl HttpPeer {
    /// A server at `host:port`, `http://…` or `https://…`, with a name and password before an `@` if it wants them.
    /// No I/O.
    ///
    /// # Errors
    /// [`BadEndpoint`] for a text that is no such address, or rules that no request could follow.
    pub fn new(endpoint: &str, rules: &HttpRules) -> Result<Self, BadEndpoint> {
        let endpoint = endpoint.trim();
        let bad = |why: &str| BadEndpoint { endpoint: without_login(endpoint), why: why.to_owned() };
        let text = match endpoint.split_once("://") {
            Some(("http" | "https", _)) => endpoint.to_owned(),
            Some(_) => return Err(bad("only http:// and https:// are spoken")),
            None => format!("http://{endpoint}"),
        };
        let mut base = Url::parse(&text).map_err(|error| bad(&error.to_string()))?;
        if base.query().is_some() || base.fragment().is_some() {
            return Err(bad("an address ends before a ? or a #"));
        }
        let host = base.host_str().filter(|host| !host.is_empty()).ok_or_else(|| bad("no host"))?;
        let port = match (base.port(), endpoint.contains("://")) {
            (Some(port), _) => port,
            // `http://host` says which port it means, `host` does not.
            (None, true) => base.port_or_known_default().ok_or_else(|| bad("no port"))?,
            (None, false) if endpoint.ends_with(":80") => 80,
            (None, false) => return Err(bad("no port: write host:port")),
        };
        if port == 0 {
            return Err(bad("port 0 is no port"));
        }
        let name = format!("{}://{host}:{port}", base.scheme());
        let login = match (base.username(), base.password()) {
            ("", None) => rules.login.clone(),
            (user, password) => Some(Login {
                user: decoded(user).ok_or_else(|| bad("the user's name is no text"))?,
                password: decoded(password.unwrap_or_default())
                    .ok_or_else(|| bad("the password is no text"))?,
            }),
        };
        let cleared = base.set_username("").and_then(|()| base.set_password(None));
        cleared.map_err(|()| bad("no host"))?;
        let rpc = below(&base, &rules.rpc_path).map_err(|why| bad(&why))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &rules.headers {
            let name: HeaderName = name.parse().map_err(|_| bad(&format!("{name:?} is no header's name")))?;
            let mut value: HeaderValue = value
                .parse()
                .map_err(|_| bad(&format!("the value of header {name} has bytes no header may have")))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let mut client = Client::builder()
            .user_agent(concat!("poolwright/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .http1_only();
        if base.scheme() == "http" {
            // Without this the machine's certificates would be read for nothing, once per peer.
            client = client.tls_certs_only([]);
        }
        let client = client.build().map_err(|error| bad(&causes(&error)))?;
        Ok(Self {
            name,
            base,
            rpc,
            login,
            timeout: rules.timeout,
            body_bytes_max: rules.body_bytes_max,
            client,
            next_id: AtomicU64::new(1),
        })
    }

    /// Scheme, host and port: what logs and pages call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Asks a JSON-RPC question. `params` is a list, or an object where the server takes one.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn call(&self, version: JsonRpc, method: &str, params: Value) -> Result<Value, RpcError> {
        self.call_as(version, method, params).await
    }

    /// As [`HttpPeer::call`], read as a `T` right from the text: large numbers and decimal fractions keep every digit
    /// in a `T` that asks for them (`u128`, `Box<RawValue>`).
    ///
    /// # Errors
    /// [`RpcError`]; a result that is no `T` is [`RpcError::Garbage`].
    pub async fn call_as<T: DeserializeOwned>(
        &self,
        version: JsonRpc,
        method: &str,
        params: Value,
    ) -> Result<T, RpcError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let mut question = serde_json::json!({ "id": id, "method": method, "params": params });
        if version == JsonRpc::V2 {
            question["jsonrpc"] = "2.0".into();
        }
        let (status, body) = self.exchange(Method::POST, self.rpc.clone(), Some(&question)).await?;
        // Servers of the older kind put their errors under an HTTP status of 404 or 500.
        // A list would be read as the members in their order.
        let object = body.trim_ascii_start().starts_with(b"{");
        let answer: Envelope<'_> = match serde_json::from_slice(&body) {
            Ok(answer) if object => answer,
            Ok(_) if status == 200 => return Err(garbage(method, &words(&body))),
            Ok(_) => return Err(RpcError::Status { status, body: words(&body) }),
            Err(_) if status != 200 => return Err(RpcError::Status { status, body: words(&body) }),
            Err(error) => {
                return Err(garbage(method, &format_args!("no JSON-RPC: {error}: {}", words(&body))));
            }
        };
        let about_us = answer.id == id;
        match (answer.error, answer.result) {
            // Who could not read a question cannot repeat its id.
            (Some(error), _) if !error.is_null() && (about_us || answer.id.is_null()) => {
                Err(answered(&error))
            }
            _ if status != 200 => Err(RpcError::Status { status, body: words(&body) }),
            _ if !about_us => Err(garbage(method, &format_args!("id {} instead of {id}", answer.id))),
            (_, Some(result)) => serde_json::from_str(result.get()).map_err(|error| garbage(method, &error)),
            (_, None) => Err(garbage(method, &"neither a result nor an error")),
        }
    }

    /// Reads the resource at `path` (it begins with `/` and may hold a query).
    ///
    /// # Errors
    /// [`RpcError`]; any status but 2xx is [`RpcError::Status`].
    pub async fn get_json(&self, path: &str) -> Result<Value, RpcError> {
        self.send(Method::GET, path, None).await
    }

    /// Posts `body` to `path`. An answer without a body is [`Value::Null`].
    ///
    /// # Errors
    /// [`RpcError`]; any status but 2xx is [`RpcError::Status`].
    pub async fn post_json(&self, path: &str, body: &Value) -> Result<Value, RpcError> {
        self.send(Method::POST, path, Some(body)).await
    }

    /// Puts `body` at `path`. An answer without a body is [`Value::Null`].
    ///
    /// # Errors
    /// [`RpcError`]; any status but 2xx is [`RpcError::Status`].
    pub async fn put_json(&self, path: &str, body: &Value) -> Result<Value, RpcError> {
        self.send(Method::PUT, path, Some(body)).await
    }

    /// Any of the above, read as a `T` right from the text. An empty body is read as `null`.
    ///
    /// # Errors
    /// [`RpcError`]; a body that is no `T` is [`RpcError::Garbage`].
    pub async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, RpcError> {
        let url = below(&self.base, path).map_err(RpcError::Garbage)?;
        let (status, answer) = self.exchange(method, url, body).await?;
        if !(200..300).contains(&status) {
            return Err(RpcError::Status { status, body: words(&answer) });
        }
        let text: &[u8] = if answer.is_empty() { b"null" } else { &answer };
        serde_json::from_slice(text).map_err(|error| garbage(path, &error))
    }

    /// One request and the whole of its answer, under one deadline.
    async fn exchange(
        &self,
        method: Method,
        url: Url,
        body: Option<&Value>,
    ) -> Result<(u16, Vec<u8>), RpcError> {
        let mut request = self.client.request(method, url);
        if let Some(login) = &self.login {
            request = request.basic_auth(&login.user, Some(&login.password));
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let exchange = async {
            let mut response = request.send().await.map_err(unreachable)?;
            let status = response.status().as_u16();
            Ok((status, self.body_of(&mut response).await?))
        };
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => Err(RpcError::Unreachable(format!("no answer within {:?}", self.timeout).into())),
        }
    }

    /// What is announced too long is not read at all, what turns out too long not further.
    async fn body_of(&self, response: &mut Response) -> Result<Vec<u8>, RpcError> {
        let too_long = || RpcError::Garbage(format!("an answer of more than {} bytes", self.body_bytes_max));
        let max = self.body_bytes_max as u64;
        if response.content_length().is_some_and(|length| length > max) {
            return Err(too_long());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > self.body_bytes_max {
                return Err(too_long());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// An answer of either version. `result: null` is a result, a missing one is none.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default)]
    id: Value,
    #[serde(default, borrow, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<Value>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

fn answered(error: &Value) -> RpcError {
    let message = error.get("message").or_else(|| error.is_string().then_some(error));
    RpcError::Answered {
        code: error.get("code").and_then(Value::as_i64).unwrap_or(0),
        message: shortened(message.and_then(Value::as_str).map_or_else(|| error.to_string(), str::to_owned)),
    }
}

fn garbage(question: &str, what: &dyn fmt::Display) -> RpcError {
    RpcError::Garbage(format!("{question}: {what}"))
}

/// The URL of a request holds what is asked, and nobody needs it in an error.
fn unreachable(error: reqwest::Error) -> RpcError {
    RpcError::Unreachable(causes(&error.without_url()).into())
}

/// An error and its causes in one line: the outermost alone says nothing.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn words(body: &[u8]) -> String {
    shortened(String::from_utf8_lossy(body).trim().to_owned())
}

/// Control characters would let a server write lines of its own into a log.
fn shortened(text: String) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS_MAX).collect()
}

/// `path` below `base`, which may have a path of its own.
fn below(base: &Url, path: &str) -> Result<Url, String> {
    if path.is_empty() {
        return Ok(base.clone());
    }
    if !path.starts_with('/') || path.contains('#') {
        return Err(format!("{path:?} is no path: it must begin with / and hold no #"));
    }
    let text = format!("{}{path}", base.as_str().trim_end_matches('/'));
    Url::parse(&text).map_err(|error| format!("{path:?} is no path: {error}"))
}

fn without_login(endpoint: &str) -> String {
    match (endpoint.split_once("://"), endpoint.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        (None, Some((_, host))) => host.to_owned(),
        (_, None) => endpoint.to_owned(),
    }
}

/// Undoes the percent signs of a URL's name or password.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = match (first, tail) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                bytes.push(u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?);
                after
            }
            _ => {
                bytes.push(first);
                tail
            }
        };
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    /// What the other side does with one request.
    enum Act {
        /// Sends these bytes and closes. `ID` in it becomes the request's id.
        Send(String),
        /// Reads the request and says nothing.
        Silence,
    }

    fn ok(body: &str) -> Act {
        http("200 OK", body)
    }

    fn http(status: &str, body: &str) -> Act {
        Act::Send(format!("HTTP/1.1 {status}\r\nConnection: close\r\n\r\n{body}"))
    }

    /// A server that follows a script, one connection an act, and reports what it was asked.
    async fn server(script: Vec<Act>) -> (String, tokio::task::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut script = VecDeque::from(script);
        let task = tokio::spawn(async move {
            let (mut asked, mut held) = (Vec::new(), Vec::new());
            while let Some(act) = script.pop_front() {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = request(&mut stream).await;
                let id = request
                    .split("\"id\":")
                    .nth(1)
                    .map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
                match act {
                    Act::Send(text) => {
                        let text = text.replace("ID", &id.unwrap_or_default());
                        // The client may hang up in the middle of what is too long.
                        let _ = stream.write_all(text.as_bytes()).await;
                    }
                    Act::Silence => held.push(stream),
                }
                asked.push(request);
            }
            asked
        });
        (address, task)
    }

    async fn request(stream: &mut TcpStream) -> String {
        let mut text = String::new();
        let mut buffer = [0; 4096];
        loop {
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| {
                    line.to_ascii_lowercase().strip_prefix("content-length: ").and_then(|n| n.parse().ok())
                });
                if body.len() >= length.unwrap_or(0) {
                    return text;
                }
            }
            let read = stream.read(&mut buffer).await.unwrap();
            assert_ne!(read, 0, "the client hung up in the middle of {text:?}");
            text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
    }

    fn peer(address: &str) -> HttpPeer {
        HttpPeer::new(address, &HttpRules::default()).unwrap()
    }

    async fn ask(act: Act, rules: &HttpRules) -> Result<Value, RpcError> {
        let (address, _server) = server(vec![act]).await;
        HttpPeer::new(&address, rules).unwrap().call(JsonRpc::V2, "height", Value::Array(vec![])).await
    }

    async fn error(act: Act) -> RpcError {
        ask(act, &HttpRules::default()).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_question_of_either_version_is_answered() {
        let (address, server) = server(vec![
            ok(r#"{"jsonrpc":"2.0","id":ID,"result":{"height":7}}"#),
            ok(r#"{"result":null,"error":null,"id":ID}"#),
        ])
        .await;
        let peer = peer(&address);
        let params = serde_json::json!([1, "a"]);
        assert_eq!(peer.call(JsonRpc::V2, "tip", params).await.unwrap()["height"], 7);
        assert_eq!(peer.call(JsonRpc::V1, "submit", Value::Array(vec![])).await.unwrap(), Value::Null);
        let asked = server.await.unwrap();
        assert!(
            asked[0].contains(r#""jsonrpc":"2.0""#) && asked[0].contains(r#""params":[1,"a"]"#),
            "{}",
            asked[0]
        );
        assert!(!asked[1].contains("jsonrpc"), "{}", asked[1]);
        assert!(asked[0].starts_with("POST / HTTP/1.1\r\n"), "{}", asked[0]);
        assert!(!asked[0].to_ascii_lowercase().contains("authorization"), "{}", asked[0]);
    }

    #[tokio::test]
    async fn a_number_keeps_its_digits_where_the_type_asks_for_them() {
        let (address, _server) = server(vec![
            ok(r#"{"id":ID,"result":340282366920938463463374607431768211455}"#),
            ok(r#"{"id":ID,"result":21000000000000.01}"#),
        ])
        .await;
        let peer = peer(&address);
        let none = || Value::Array(vec![]);
        assert_eq!(peer.call_as::<u128>(JsonRpc::V1, "a", none()).await.unwrap(), u128::MAX);
        let text = peer.call_as::<Box<RawValue>>(JsonRpc::V1, "b", none()).await.unwrap();
        assert_eq!(text.get(), "21000000000000.01");
    }

    #[tokio::test]
    async fn a_servers_own_error_is_an_answer() {
        let body = r#"{"result":null,"error":{"code":-22,"message":"Block decode failed"},"id":ID}"#;
        // Under its own status or not.
        for status in ["200 OK", "500 Internal Server Error", "404 Not Found"] {
            let error = error(http(status, body)).await;
            assert_eq!((error.code(), error.to_string().as_str()), (Some(-22), "Block decode failed (-22)"));
            assert!(!error.is_transient());
            assert!(matches!(NodeError::from(error), NodeError::Refused { .. }));
        }
        let unread = r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"parse error"},"id":null}"#;
        assert_eq!(error(ok(unread)).await.code(), Some(-32_700));
        assert_eq!(error(ok(r#"{"error":"busy","id":ID}"#)).await.to_string(), "busy (0)");
    }

    #[tokio::test]
    async fn what_is_no_answer_to_the_question_is_garbage() {
        for body in [
            r#"{"result":1,"error":null,"id":99999}"#,
            r#"{"result":1,"error":null,"id":"ID"}"#,
            r#"{"result":1,"error":null}"#,
            r#"{"error":{"code":1,"message":"to somebody else"},"id":99999}"#,
            r#"{"error":null,"id":ID}"#,
            "{}",
            "",
            "<html>hello</html>",
            "[1,2,3]",
        ] {
            let error = error(ok(body)).await;
            assert!(matches!(error, RpcError::Garbage(_)), "{body}: {error:?}");
            assert!(error.is_transient());
        }
        let (address, _server) = server(vec![ok(r#"{"result":"x","id":ID}"#)]).await;
        let error = peer(&address).call_as::<u64>(JsonRpc::V2, "height", Value::Null).await.unwrap_err();
        assert!(matches!(error, RpcError::Garbage(_)), "{error:?}");
    }

    #[tokio::test]
    async fn an_http_status_is_told_apart_by_whose_fault_it_is() {
        for (status, transient) in [
            ("401 Unauthorized", true),
            ("403 Forbidden", true),
            ("429 Too Many Requests", true),
            ("500 Internal Server Error", true),
            ("503 Service Unavailable", true),
            ("301 Moved Permanently\r\nLocation: http://127.0.0.1:1/", false),
            ("404 Not Found", false),
        ] {
            let error = error(http(status, "no\r\nway")).await;
            assert_eq!(error.status(), status[..3].parse().ok(), "{error:?}");
            assert_eq!(error.is_transient(), transient, "{status}");
            assert!(error.to_string().ends_with("no  way"), "{error}");
            assert_eq!(NodeError::from(error).is_transient(), transient, "{status}");
        }
    }

    #[tokio::test]
    async fn what_is_too_long_or_too_slow_ends() {
        let rules =
            HttpRules { body_bytes_max: 1_000, timeout: Duration::from_millis(300), ..HttpRules::default() };
        let long = format!(r#"{{"id":ID,"result":"{}"}}"#, "x".repeat(5_000_000));
        let announced = Act::Send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1u64 << 40));
        for act in [ok(&long), announced] {
            let error = ask(act, &rules).await.unwrap_err();
            assert_eq!(error.to_string(), "garbage: an answer of more than 1000 bytes");
        }
        let broken = Act::Send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_owned());
        for act in [Act::Silence, broken, Act::Send("\0\0\0\0 no http at all\r\n\r\n".to_owned())] {
            let error = ask(act, &rules).await.unwrap_err();
            assert!(matches!(error, RpcError::Unreachable(_)), "{error:?}");
            assert!(matches!(NodeError::from(error), NodeError::Unreachable(_)));
        }
    }

    #[tokio::test]
    async fn nobody_at_home_is_unreachable() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let error = peer(&address).call(JsonRpc::V2, "height", Value::Null).await.unwrap_err();
        assert!(
            matches!(&error, RpcError::Unreachable(cause) if cause.to_string().contains("refused")),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn resources_are_read_and_written() {
        let (address, server) = server(vec![
            ok("[1]"),
            http("201 Created", r#"{"txId":"ab"}"#),
            http("204 No Content", ""),
            http("404 Not Found", r#"{"detail":"block not found"}"#),
            ok("no json"),
        ])
        .await;
        let rules = HttpRules { headers: vec![("X-API-KEY".into(), "0123".into())], ..HttpRules::default() };
        let peer = HttpPeer::new(&format!("http://{address}/api/"), &rules).unwrap();
        assert_eq!(peer.get_json("/tips?from=1").await.unwrap(), serde_json::json!([1]));
        let body = serde_json::json!({"a": 1});
        assert_eq!(peer.post_json("/send", &body).await.unwrap()["txId"], "ab");
        assert_eq!(peer.put_json("/miners", &body).await.unwrap(), Value::Null);
        let missing = peer.get_json("/blocks/1").await.unwrap_err();
        assert_eq!(missing.status(), Some(404));
        assert!(matches!(peer.get_json("/x").await.unwrap_err(), RpcError::Garbage(_)));
        assert!(matches!(peer.get_json("x").await.unwrap_err(), RpcError::Garbage(_)));
        let asked = server.await.unwrap();
        assert!(asked[0].starts_with("GET /api/tips?from=1 HTTP/1.1\r\n"), "{}", asked[0]);
        assert!(asked[0].to_ascii_lowercase().contains("x-api-key: 0123"), "{}", asked[0]);
        assert!(asked[1].starts_with("POST /api/send ") && asked[1].ends_with(r#"{"a":1}"#), "{}", asked[1]);
        assert!(asked[2].starts_with("PUT /api/miners "), "{}", asked[2]);
    }

    #[tokio::test]
    async fn a_login_comes_from_the_rules_or_the_address() {
        let (address, server) =
            server(vec![ok(r#"{"id":ID,"result":1}"#), ok(r#"{"id":ID,"result":1}"#)]).await;
        let login = Some(Login { user: "pool".into(), password: "secret".into() });
        let rules = HttpRules { login, rpc_path: "/json_rpc".into(), ..HttpRules::default() };
        for endpoint in [address.clone(), format!("http://al%40ice:p%3Aw@{address}")] {
            let peer = HttpPeer::new(&endpoint, &rules).unwrap();
            peer.call(JsonRpc::V1, "x", Value::Null).await.unwrap();
            assert_eq!(peer.name(), format!("http://{address}"));
            assert!(!format!("{peer:?}{rules:?}").contains("secret"));
        }
        let asked = server.await.unwrap();
        assert!(
            asked[0].contains("uthorization: Basic cG9vbDpzZWNyZXQ=")
                || asked[0].contains("Basic cG9vbDpzZWNyZXQ=")
        );
        assert!(asked[1].contains("Basic YWxAaWNlOnA6dw=="), "{}", asked[1]);
        assert!(asked[1].starts_with("POST /json_rpc "), "{}", asked[1]);
    }

    #[test]
    fn an_address_is_checked_when_it_is_given() {
        let rules = HttpRules::default();
        for good in
            ["127.0.0.1:8545", "localhost:80", "[::1]:18333", "https://node.example/x", "http://h:1/json_rpc"]
        {
            HttpPeer::new(good, &rules).unwrap();
        }
        for (bad, why) in [
            ("", "empty host"),
            ("node", "no port: write host:port"),
            ("node:0", "port 0 is no port"),
            ("node:99999", "invalid port number"),
            ("ws://node:1", "only http:// and https:// are spoken"),
            ("http://node:1/?x", "an address ends before a ? or a #"),
            ("no de:1", "invalid international domain name"),
        ] {
            let error = HttpPeer::new(bad, &rules).unwrap_err();
            assert!(error.to_string().contains(why), "{bad}: {error}");
        }
        let secret = HttpPeer::new("http://user:secret@no de:1", &rules).unwrap_err().to_string();
        assert!(!secret.contains("secret") && secret.contains("no de:1"), "{secret}");
        let header = HttpRules { headers: vec![("a b".into(), "x".into())], ..HttpRules::default() };
        assert!(HttpPeer::new("node:1", &header).unwrap_err().why.contains("header"));
        let path = HttpRules { rpc_path: "json_rpc".into(), ..HttpRules::default() };
        assert!(HttpPeer::new("node:1", &path).unwrap_err().why.contains("must begin with /"));
    }
}
