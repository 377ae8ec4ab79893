//! The HTTP half of a development node: JSON-RPC 1.0 and 2.0, plain resources, and trouble on demand.
//!
//! A coin's development node knows its chain and implements [`RpcHandler`]; [`serve`] does the rest as the real
//! nodes do it: single questions and batches, ids returned as they came, notifications left unanswered, an error of
//! version 1.0 under HTTP status 500 (404 for an unknown method) and one of version 2.0 under 200, basic
//! authentication or an API key, a greatest length. Whatever is not a POST to a JSON-RPC path goes to
//! [`RpcHandler::rest`].
//!
//! [`Faults`] is the weather: it makes chosen questions slow, silent, broken off, garbage or refused, so that tests
//! can see what the other side makes of it, and it can cut every connection at once. Nothing here is for the open
//! network: no TLS, and whoever can connect may ask.
//!
//! [`serve`] returns a future that serves for as long as it is polled; when it is dropped all connections are cut, and
//! what answers them ends.

use crate::http::Login;
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::serve::{IncomingStream, Listener};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// An error of the node's own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({code})")]
pub struct RpcFault {
    /// Its code, as the real node numbers it.
    pub code: i64,
    /// Its words.
    pub message: String,
}

impl RpcFault {
    /// An error with a code and words.
    #[must_use]
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// JSON-RPC's own error for a method that is not there.
    #[must_use]
    pub fn no_method(method: &str) -> Self {
        Self::new(NO_METHOD, format!("the method {method} does not exist"))
    }

    /// JSON-RPC's own error for parameters that are none.
    #[must_use]
    pub fn bad_params(why: impl Into<String>) -> Self {
        Self::new(-32_602, why)
    }
}

const NO_METHOD: i64 = -32_601;

/// A request that is no JSON-RPC.
#[derive(Clone, Debug)]
pub struct RestRequest {
    /// GET, POST, PUT …
    pub method: Method,
    /// The path, from its first `/` to before the query.
    pub path: String,
    /// Name and value of each member of the query, in order.
    pub query: Vec<(String, String)>,
    /// The body, or `null` where there is none.
    pub body: Value,
}

impl RestRequest {
    /// The first value of a member of the query.
    #[must_use]
    pub fn of_query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What a resource answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body, as it is sent.
    pub body: String,
    /// Whether the body is JSON, for its content type.
    pub is_json: bool,
}

impl RestAnswer {
    /// JSON under a status.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        Self { status, body: body.to_string(), is_json: true }
    }

    /// Text under a status.
    #[must_use]
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, body: body.into(), is_json: false }
    }
}

impl From<RestAnswer> for Response {
    fn from(answer: RestAnswer) -> Self {
        let kind = if answer.is_json { "application/json" } else { "text/plain" };
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, kind)], answer.body).into_response()
    }
}

/// What a development node answers.
#[async_trait::async_trait]
pub trait RpcHandler: Send + Sync + 'static {
    /// Answers a JSON-RPC question. `params` is an empty list where the question has none.
    ///
    /// # Errors
    /// The node's own [`RpcFault`].
    async fn call(&self, method: &str, params: Value) -> Result<Value, RpcFault>;

    /// Answers any other request.
    async fn rest(&self, request: RestRequest) -> RestAnswer {
        RestAnswer::text(404, format!("{} is not here", request.path))
    }
}

/// Who may ask, and where.
#[derive(Clone, Debug)]
pub struct ServeRules {
    /// The paths at which a POST is JSON-RPC.
    pub rpc_paths: Vec<String>,
    /// Basic authentication, where it is wanted.
    pub login: Option<Login>,
    /// The value that the header `X-API-KEY` must have, where one is wanted.
    pub api_key: Option<String>,
    /// The longest body of a request. Unit: bytes.
    pub body_bytes_max: usize,
}

impl Default for ServeRules {
    /// JSON-RPC at `/`, for everybody, up to 32 MiB.
    fn default() -> Self {
        Self { rpc_paths: vec!["/".to_owned()], login: None, api_key: None, body_bytes_max: 32 << 20 }
    }
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The true answer, late.
    Delay(Duration),
    /// No answer at all on an open connection.
    Silence,
    /// The connection is cut before the question is looked at.
    Cut,
    /// The question is obeyed, and the connection cut before its answer.
    CutAfter,
    /// An answer that is no JSON.
    Garbage,
    /// An HTTP status and nothing else.
    Status(u16),
    /// An error of the node's own, as JSON-RPC or as `{"detail": …}`.
    Error(RpcFault),
    /// Another result than the true one: a lie.
    Answer(Value),
}

/// Which questions a fault befalls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum On {
    /// All.
    Any,
    /// Those of one JSON-RPC method.
    Method(String),
    /// Those whose path begins so.
    Path(String),
}

/// A method, from its name.
impl From<&str> for On {
    fn from(text: &str) -> Self {
        if text.starts_with('/') { Self::Path(text.to_owned()) } else { Self::Method(text.to_owned()) }
    }
}

/// Trouble on demand. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Trouble>);

#[derive(Debug, Default)]
struct Trouble {
    rules: Mutex<Vec<FaultRule>>,
    lines: Mutex<BTreeMap<u64, std::net::TcpStream>>,
    next_line: AtomicU64,
    requests: AtomicU64,
}

#[derive(Debug)]
struct FaultRule {
    on: On,
    fault: Fault,
    times: Option<u32>,
}

impl Faults {
    /// Befalls the next `times` questions of a kind. Of several faults on the same question the one that was told
    /// first comes first.
    pub fn next(&self, times: u32, on: impl Into<On>, fault: Fault) {
        self.rules().push(FaultRule { on: on.into(), fault, times: Some(times) });
    }

    /// Befalls every question of a kind until [`Faults::clear`].
    pub fn always(&self, on: impl Into<On>, fault: Fault) {
        self.rules().push(FaultRule { on: on.into(), fault, times: None });
    }

    /// Ends all trouble.
    pub fn clear(&self) {
        self.rules().clear();
    }

    /// Cuts every connection now. New ones are welcome.
    pub fn disconnect_all(&self) {
        for line in self.lines().values() {
            // One that is closed already needs no closing.
            let _ = line.shutdown(Shutdown::Both);
        }
    }

    /// Requests that came in so far, answered or not.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.0.requests.load(Ordering::Relaxed)
    }

    /// The connections that are open now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.lines().len()
    }

    fn befalls(&self, path: &str, methods: &[&str]) -> Option<Fault> {
        let mut rules = self.rules();
        let index = rules.iter().position(|rule| match &rule.on {
            On::Any => true,
            On::Method(name) => methods.contains(&name.as_str()),
            On::Path(prefix) => path.starts_with(prefix.as_str()),
        })?;
        let rule = &mut rules[index];
        let fault = rule.fault.clone();
        if let Some(times) = &mut rule.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                rules.remove(index);
            }
        }
        Some(fault)
    }

    fn cut(&self, line: u64) {
        if let Some(line) = self.lines().get(&line) {
            let _ = line.shutdown(Shutdown::Both);
        }
    }

    fn rules(&self) -> MutexGuard<'_, Vec<FaultRule>> {
        self.0.rules.lock().expect("nobody panics while holding the faults")
    }

    fn lines(&self) -> MutexGuard<'_, BTreeMap<u64, std::net::TcpStream>> {
        self.0.lines.lock().expect("nobody panics while holding the connections")
    }
}

/// Serves `handler` for as long as the future is polled.
pub fn serve(
    listener: TcpListener,
    handler: Arc<dyn RpcHandler>,
    rules: ServeRules,
    faults: Faults,
) -> impl Future<Output = ()> + Send {
    let authorization = rules
        .login
        .as_ref()
        .map(|login| format!("Basic {}", base64(format!("{}:{}", login.user, login.password).as_bytes())));
    let server = Arc::new(Server { handler, rules, authorization, faults: faults.clone() });
    let router = axum::Router::new().fallback(answer).with_state(server);
    let service = router.into_make_service_with_connect_info::<LineId>();
    let incoming = Incoming { listener, faults: faults.clone() };
    async move {
        // Connections are served by tasks of their own; without their sockets they end.
        let _cut = CutOnDrop(faults);
        if let Err(error) = axum::serve(incoming, service).await {
            tracing::warn!(%error, "the development node's listener ended");
        }
    }
}

struct CutOnDrop(Faults);

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        self.0.disconnect_all();
    }
}

struct Server {
    handler: Arc<dyn RpcHandler>,
    rules: ServeRules,
    authorization: Option<String>,
    faults: Faults,
}

impl Server {
    fn admits(&self, headers: &HeaderMap) -> bool {
        let is = |name: &str, wanted: &Option<String>| {
            wanted.as_deref().is_none_or(|wanted| {
                headers.get(name).is_some_and(|value| value.as_bytes() == wanted.as_bytes())
            })
        };
        is("authorization", &self.authorization) && is("x-api-key", &self.rules.api_key)
    }

    /// Obeys a single question. `None` for a notification.
    async fn obey(&self, question: &Value) -> Option<Spoken> {
        let outcome = match question.get("method").and_then(Value::as_str) {
            Some(method) => {
                let params = question.get("params").filter(|params| !params.is_null()).cloned();
                self.handler.call(method, params.unwrap_or_else(|| json!([]))).await
            }
            None => Err(RpcFault::new(-32_600, "no method")),
        };
        Spoken::to(question, outcome)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// An answer before it is written down.
struct Spoken {
    version: Version,
    id: Value,
    outcome: Result<Value, RpcFault>,
}

impl Spoken {
    /// The answer to a question in its own version. `None` for a notification.
    fn to(question: &Value, outcome: Result<Value, RpcFault>) -> Option<Self> {
        let version = if question["jsonrpc"] == "2.0" { Version::Two } else { Version::One };
        let id = question.get("id").cloned()?;
        Some(Self { version, id, outcome })
    }

    fn status(&self) -> u16 {
        match (self.version, &self.outcome) {
            (Version::Two, _) | (Version::One, Ok(_)) => 200,
            (Version::One, Err(RpcFault { code: NO_METHOD, .. })) => 404,
            (Version::One, Err(_)) => 500,
        }
    }

    fn into_json(self) -> Value {
        let fault = |fault: RpcFault| json!({ "code": fault.code, "message": fault.message });
        match (self.version, self.outcome) {
            (Version::One, Ok(result)) => json!({ "result": result, "error": null, "id": self.id }),
            (Version::One, Err(error)) => json!({ "result": null, "error": fault(error), "id": self.id }),
            (Version::Two, Ok(result)) => json!({ "jsonrpc": "2.0", "id": self.id, "result": result }),
            (Version::Two, Err(error)) => json!({ "jsonrpc": "2.0", "id": self.id, "error": fault(error) }),
        }
    }
}

async fn answer(
    State(server): State<Arc<Server>>,
    ConnectInfo(line): ConnectInfo<LineId>,
    request: Request,
) -> Response {
    server.faults.0.requests.fetch_add(1, Ordering::Relaxed);
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    if !server.admits(&head.headers) {
        let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"node\"")];
        return (StatusCode::UNAUTHORIZED, challenge, "").into_response();
    }
    let Ok(body) = axum::body::to_bytes(body, server.rules.body_bytes_max).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let is_rpc = head.method == Method::POST && server.rules.rpc_paths.contains(&path);
    let value: Option<Value> =
        if body.is_empty() && !is_rpc { Some(Value::Null) } else { serde_json::from_slice(&body).ok() };
    let questions: &[Value] = match &value {
        Some(Value::Array(batch)) if is_rpc => batch,
        Some(question) if is_rpc => std::slice::from_ref(question),
        _ => &[],
    };
    let methods: Vec<&str> = questions.iter().filter_map(|question| question["method"].as_str()).collect();
    let fault = server.faults.befalls(&path, &methods);
    match &fault {
        Some(Fault::Silence) => return std::future::pending().await,
        Some(Fault::Cut) => {
            server.faults.cut(line.number);
            return std::future::pending().await;
        }
        Some(Fault::Delay(time)) => tokio::time::sleep(*time).await,
        Some(Fault::Garbage) => return (StatusCode::OK, "<html>out of order</html>").into_response(),
        Some(Fault::Status(status)) => return RestAnswer::text(*status, "").into(),
        Some(Fault::CutAfter | Fault::Error(_) | Fault::Answer(_)) | None => {}
    }
    let true_answer = match value {
        None if is_rpc => rpc_error(-32_700, "parse error"),
        None => RestAnswer::text(400, "no JSON").into(),
        Some(value) if is_rpc => spoken(&server, value, fault.as_ref()).await,
        Some(body) => {
            let query = Query::<Vec<(String, String)>>::try_from_uri(&head.uri);
            let query = query.map(|Query(query)| query).unwrap_or_default();
            match &fault {
                Some(Fault::Answer(value)) => RestAnswer::json(200, value).into(),
                Some(Fault::Error(error)) => {
                    RestAnswer::json(500, &json!({ "detail": error.message })).into()
                }
                _ => server.handler.rest(RestRequest { method: head.method, path, query, body }).await.into(),
            }
        }
    };
    if fault == Some(Fault::CutAfter) {
        server.faults.cut(line.number);
        return std::future::pending().await;
    }
    true_answer
}

/// The answer to one question or to a batch.
async fn spoken(server: &Server, value: Value, fault: Option<&Fault>) -> Response {
    // What is answered with something else is not obeyed.
    let instead = match fault {
        Some(Fault::Answer(value)) => Some(Ok(value.clone())),
        Some(Fault::Error(error)) => Some(Err(error.clone())),
        _ => None,
    };
    let obey = async |question: &Value| match &instead {
        Some(outcome) => Spoken::to(question, outcome.clone()),
        None => server.obey(question).await,
    };
    match value {
        Value::Array(batch) if batch.is_empty() => rpc_error(-32_600, "an empty batch"),
        Value::Array(batch) => {
            let mut answers = Vec::with_capacity(batch.len());
            for question in &batch {
                answers.extend(obey(question).await.map(Spoken::into_json));
            }
            if answers.is_empty() {
                return StatusCode::NO_CONTENT.into_response();
            }
            RestAnswer::json(200, &Value::Array(answers)).into()
        }
        question @ Value::Object(_) => match obey(&question).await {
            Some(spoken) => RestAnswer::json(spoken.status(), &spoken.into_json()).into(),
            None => StatusCode::NO_CONTENT.into_response(),
        },
        _ => rpc_error(-32_600, "a question is an object"),
    }
}

fn rpc_error(code: i64, message: &str) -> Response {
    let outcome = Err(RpcFault::new(code, message));
    let spoken = Spoken { version: Version::Two, id: Value::Null, outcome };
    RestAnswer::json(200, &spoken.into_json()).into()
}

/// RFC 4648 with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place > chunk.len() { '=' } else { char::from(digit) });
        }
    }
    text
}

/// A listener that remembers its connections, so that they can be cut from outside.
struct Incoming {
    listener: TcpListener,
    faults: Faults,
}

/// Which connection a request came over.
#[derive(Clone, Copy, Debug)]
struct LineId {
    number: u64,
}

impl Listener for Incoming {
    type Io = Line;
    type Addr = LineId;

    async fn accept(&mut self) -> (Line, LineId) {
        loop {
            let accepted = async {
                let (stream, _) = self.listener.accept().await?;
                let stream = stream.into_std()?;
                let twin = stream.try_clone()?;
                io::Result::Ok((TcpStream::from_std(stream)?, twin))
            };
            match accepted.await {
                Ok((stream, twin)) => {
                    let number = self.faults.0.next_line.fetch_add(1, Ordering::Relaxed);
                    self.faults.lines().insert(number, twin);
                    return (Line { stream, number, faults: self.faults.clone() }, LineId { number });
                }
                // Out of file descriptors, mostly: others must end first.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<LineId> {
        let _: SocketAddr = self.listener.local_addr()?;
        Ok(LineId { number: u64::MAX })
    }
}

impl Connected<IncomingStream<'_, Incoming>> for LineId {
    fn connect_info(stream: IncomingStream<'_, Incoming>) -> Self {
        *stream.remote_addr()
    }
}

/// One connection, which is forgotten when it ends.
struct Line {
    stream: TcpStream,
    number: u64,
    faults: Faults,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.faults.lines().remove(&self.number);
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failover::{CoolDown, Failover};
    use crate::http::{HttpPeer, HttpRules, JsonRpc, RpcError};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[derive(Default)]
    struct Calculator {
        sums: AtomicU64,
    }

    #[async_trait::async_trait]
    impl RpcHandler for Calculator {
        async fn call(&self, method: &str, params: Value) -> Result<Value, RpcFault> {
            match method {
                "sum" => {
                    self.sums.fetch_add(1, Ordering::Relaxed);
                    let numbers = params.as_array().ok_or_else(|| RpcFault::bad_params("no list"))?;
                    Ok(numbers.iter().filter_map(Value::as_u64).sum::<u64>().into())
                }
                _ => Err(RpcFault::no_method(method)),
            }
        }

        async fn rest(&self, request: RestRequest) -> RestAnswer {
            match (request.method.as_str(), request.path.as_str()) {
                ("GET", "/echo") => RestAnswer::json(200, &json!(request.of_query("text"))),
                ("POST", "/echo") => RestAnswer::json(201, &request.body),
                _ => RestAnswer::json(404, &json!({ "detail": "nothing here" })),
            }
        }
    }

    struct Rig {
        address: String,
        faults: Faults,
        calculator: Arc<Calculator>,
        server: tokio::task::JoinHandle<()>,
    }

    impl Drop for Rig {
        fn drop(&mut self) {
            self.server.abort();
        }
    }

    async fn rig(rules: ServeRules) -> Rig {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (faults, calculator) = (Faults::default(), Arc::new(Calculator::default()));
        let server = tokio::spawn(serve(listener, calculator.clone(), rules, faults.clone()));
        Rig { address, faults, calculator, server }
    }

    impl Rig {
        fn peer(&self) -> HttpPeer {
            let rules = HttpRules { timeout: Duration::from_millis(400), ..HttpRules::default() };
            HttpPeer::new(&self.address, &rules).unwrap()
        }

        /// Status and body of a raw POST to `/`.
        async fn post(&self, body: &str) -> (u16, String) {
            let mut stream = TcpStream::connect(&self.address).await.unwrap();
            let length = body.len();
            let request = format!(
                "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            let body = text.split_once("\r\n\r\n").unwrap().1.to_owned();
            (text[9..12].parse().unwrap(), body)
        }
    }

    async fn sum(peer: &HttpPeer) -> Result<Value, RpcError> {
        peer.call(JsonRpc::V2, "sum", json!([1, 2])).await
    }

    #[tokio::test]
    async fn questions_of_both_versions_are_answered_as_nodes_do() {
        let rig = rig(ServeRules::default()).await;
        for (question, status, answer) in [
            (r#"{"id":"a","method":"sum","params":[1,2]}"#, 200, r#"{"error":null,"id":"a","result":3}"#),
            (
                r#"{"jsonrpc":"2.0","id":7,"method":"sum","params":[1,2]}"#,
                200,
                r#"{"id":7,"jsonrpc":"2.0","result":3}"#,
            ),
            (
                r#"{"id":1,"method":"div"}"#,
                404,
                r#"{"error":{"code":-32601,"message":"the method div does not exist"},"id":1,"result":null}"#,
            ),
            (
                r#"{"id":1,"method":"sum","params":{}}"#,
                500,
                r#"{"error":{"code":-32602,"message":"no list"},"id":1,"result":null}"#,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"div"}"#,
                200,
                r#"{"error":{"code":-32601,"message":"the method div does not exist"},"id":1,"jsonrpc":"2.0"}"#,
            ),
            (r#"{"jsonrpc":"2.0","method":"sum"}"#, 204, ""),
            ("{", 200, r#"{"error":{"code":-32700,"message":"parse error"},"id":null,"jsonrpc":"2.0"}"#),
            ("[]", 200, r#"{"error":{"code":-32600,"message":"an empty batch"},"id":null,"jsonrpc":"2.0"}"#),
            (
                "7",
                200,
                r#"{"error":{"code":-32600,"message":"a question is an object"},"id":null,"jsonrpc":"2.0"}"#,
            ),
            (
                r#"[{"jsonrpc":"2.0","id":1,"method":"sum"},{"jsonrpc":"2.0","method":"sum"},{"id":2,"method":"sum","params":[5]}]"#,
                200,
                r#"[{"id":1,"jsonrpc":"2.0","result":0},{"error":null,"id":2,"result":5}]"#,
            ),
        ] {
            assert_eq!(rig.post(question).await, (status, answer.to_owned()), "{question}");
        }
    }

    #[tokio::test]
    async fn resources_are_served_beside() {
        let rig = rig(ServeRules::default()).await;
        let peer = rig.peer();
        assert_eq!(peer.get_json("/echo?x=1&text=a%20b").await.unwrap(), "a b");
        assert_eq!(peer.post_json("/echo", &json!({"a": 1})).await.unwrap()["a"], 1);
        let missing = peer.get_json("/nowhere").await.unwrap_err();
        assert_eq!((missing.status(), missing.to_string().contains("nothing here")), (Some(404), true));
    }

    #[tokio::test]
    async fn who_may_not_ask_is_told_so() {
        let login = Some(Login { user: "pool".into(), password: "p:w".into() });
        let rules = ServeRules { login: login.clone(), api_key: Some("key".into()), ..ServeRules::default() };
        let rig = rig(rules).await;
        let headers = vec![("X-API-KEY".to_owned(), "key".to_owned())];
        let mut client = HttpRules { login, headers, ..HttpRules::default() };
        let peer = HttpPeer::new(&rig.address, &client).unwrap();
        assert_eq!(sum(&peer).await.unwrap(), 3);
        client.headers[0].1 = "no".to_owned();
        let peer = HttpPeer::new(&rig.address, &client).unwrap();
        assert_eq!(sum(&peer).await.unwrap_err().status(), Some(401));
        assert_eq!(sum(&rig.peer()).await.unwrap_err().status(), Some(401));
    }

    #[tokio::test]
    async fn a_request_that_is_too_long_is_not_read() {
        let rig = rig(ServeRules { body_bytes_max: 100, ..ServeRules::default() }).await;
        let long = format!(r#"{{"id":1,"method":"sum","params":[{}]}}"#, "1,".repeat(100));
        assert_eq!(rig.post(&long).await.0, 413);
    }

    #[tokio::test]
    async fn trouble_comes_as_told_and_ends() {
        let rig = rig(ServeRules::default()).await;
        let peer = rig.peer();
        let unreachable = |error: &RpcError| matches!(error, RpcError::Unreachable(_));
        rig.faults.next(1, "other", Fault::Garbage);
        rig.faults.next(1, "sum", Fault::Garbage);
        rig.faults.next(1, "sum", Fault::Status(503));
        rig.faults.next(1, "sum", Fault::Error(RpcFault::new(-10, "still loading")));
        rig.faults.next(1, "sum", Fault::Answer(json!(4)));
        rig.faults.next(1, "sum", Fault::Silence);
        assert!(matches!(sum(&peer).await.unwrap_err(), RpcError::Garbage(_)));
        assert_eq!(sum(&peer).await.unwrap_err().status(), Some(503));
        assert_eq!(sum(&peer).await.unwrap_err().code(), Some(-10));
        assert_eq!(sum(&peer).await.unwrap(), 4);
        assert!(unreachable(&sum(&peer).await.unwrap_err()));
        assert_eq!(rig.calculator.sums.load(Ordering::Relaxed), 0);
        rig.faults.next(1, "sum", Fault::Cut);
        assert!(unreachable(&sum(&peer).await.unwrap_err()));
        assert_eq!(rig.calculator.sums.load(Ordering::Relaxed), 0);
        rig.faults.next(1, "sum", Fault::CutAfter);
        assert!(unreachable(&sum(&peer).await.unwrap_err()));
        assert_eq!(rig.calculator.sums.load(Ordering::Relaxed), 1);
        rig.faults.next(1, "sum", Fault::Delay(Duration::from_millis(10)));
        assert_eq!(sum(&peer).await.unwrap(), 3);
        rig.faults.always(On::Any, Fault::Status(500));
        for _ in 0..3 {
            assert_eq!(sum(&peer).await.unwrap_err().status(), Some(500));
            assert_eq!(peer.get_json("/echo").await.unwrap_err().status(), Some(500));
        }
        rig.faults.clear();
        rig.faults.next(1, "/echo", Fault::Error(RpcFault::new(0, "no")));
        assert_eq!(sum(&peer).await.unwrap(), 3);
        assert!(peer.get_json("/echo").await.unwrap_err().to_string().contains(r#"{"detail":"no"}"#));
        assert_eq!(peer.get_json("/echo?text=x").await.unwrap(), "x");
    }

    #[tokio::test]
    async fn connections_can_be_cut_and_end_with_the_server() {
        let rig = rig(ServeRules::default()).await;
        let mut stream = TcpStream::connect(&rig.address).await.unwrap();
        while rig.faults.connections() == 0 {
            tokio::task::yield_now().await;
        }
        rig.faults.disconnect_all();
        assert!(matches!(stream.read(&mut [0; 8]).await, Ok(0) | Err(_)), "the connection is open");
        while rig.faults.connections() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(sum(&rig.peer()).await.unwrap(), 3);
        let mut stream = TcpStream::connect(&rig.address).await.unwrap();
        stream.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n").await.unwrap();
        while rig.faults.connections() == 0 {
            tokio::task::yield_now().await;
        }
        rig.server.abort();
        assert!(matches!(stream.read(&mut [0; 8]).await, Ok(0) | Err(_)), "the connection is open");
    }

    #[tokio::test]
    async fn a_node_in_trouble_is_replaced_by_the_next_one() {
        let (first, second) = (rig(ServeRules::default()).await, rig(ServeRules::default()).await);
        let peers = [&first, &second].map(|rig| (rig.address.clone(), rig.peer()));
        let nodes = Failover::new(peers, CoolDown::default()).unwrap();
        let ask = || nodes.ask(|node| async move { Ok::<_, RpcError>((sum(&node).await?, node.index())) });
        assert_eq!(ask().await.unwrap(), (json!(3), 0));
        for fault in [Fault::Cut, Fault::Status(503), Fault::Garbage] {
            let first_asked = first.faults.requests();
            first.faults.next(1, "sum", fault);
            let fresh = Failover::new(
                [&first, &second].map(|rig| (rig.address.clone(), rig.peer())),
                CoolDown::default(),
            );
            let nodes = fresh.unwrap();
            let ask =
                || nodes.ask(|node| async move { Ok::<_, RpcError>((sum(&node).await?, node.index())) });
            assert_eq!(ask().await.unwrap(), (json!(3), 1));
            // It works again, and is not asked until its cool-down is over.
            assert_eq!(ask().await.unwrap(), (json!(3), 1));
            assert_eq!(first.faults.requests(), first_asked + 1);
            assert!(nodes.status()[0].standing.is_err());
        }
        // A block goes to both, and one that refuses it in words is heard.
        first.faults.next(1, "sum", Fault::Error(RpcFault::new(-25, "rejected")));
        let answers = nodes.each(Duration::from_secs(60), |node| async move { sum(&node).await }).await;
        let mut told: Vec<_> = answers.iter().map(|(node, answer)| (node.index(), answer.is_ok())).collect();
        told.sort_unstable();
        assert_eq!(told, [(0, false), (1, true)]);
    }

    #[test]
    fn base64_is_padded() {
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
