//! A useful-work service on loopback: the two published method sets, honest about the little it can judge.
//!
//! It recomputes the hash, as the real one is said to, and takes every claim of useful work that it was not told to
//! refuse: nobody outside of the project can judge one. For tests of the client, of outages and of refusals; it proves
//! nothing about the real service.

use crate::devnode_http::{Faults, RpcFault, RpcHandler, ServeRules, serve};
use crate::dynex::coin::pow_of_hex;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;

/// A running service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TestService {
    address: SocketAddr,
    faults: Faults,
    judge: Arc<Judge>,
}

#[derive(Debug, Default)]
struct Judge {
    validated: AtomicU64,
    relayed: AtomicU64,
    strangers: Mutex<HashSet<String>>,
    last: Mutex<Vec<String>>,
}

impl TestService {
    /// Binds the socket; the future serves for as long as it is polled.
    ///
    /// # Errors
    /// The system's, when the address cannot be had.
    pub async fn open(
        listen: SocketAddr,
    ) -> Result<(Self, Pin<Box<dyn Future<Output = ()> + Send>>), std::io::Error> {
        let listener = TcpListener::bind(listen).await?;
        let service =
            Self { address: listener.local_addr()?, faults: Faults::default(), judge: Arc::default() };
        let rules = ServeRules {
            rpc_paths: ["/json_rpc", "/validate224", "/rpc"].map(str::to_owned).into(),
            ..ServeRules::default()
        };
        let handler = Arc::new(Handler(service.judge.clone()));
        let driver = Box::pin(serve(listener, handler, rules, service.faults.clone()));
        Ok((service, driver))
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Trouble on demand.
    #[must_use]
    pub const fn faults(&self) -> &Faults {
        &self.faults
    }

    /// From now on this network id is not registered: 414.
    pub fn disown(&self, mallob: &str) {
        self.judge.strangers.lock().unwrap_or_else(PoisonError::into_inner).insert(mallob.to_owned());
    }

    /// Claims judged so far.
    #[must_use]
    pub fn validated(&self) -> u64 {
        self.judge.validated.load(Ordering::Relaxed)
    }

    /// Questions relayed so far.
    #[must_use]
    pub fn relayed(&self) -> u64 {
        self.judge.relayed.load(Ordering::Relaxed)
    }

    /// The parameters of the last question.
    #[must_use]
    pub fn last(&self) -> Vec<String> {
        self.judge.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[derive(Debug)]
struct Handler(Arc<Judge>);

impl Judge {
    /// 200, or the published code of what is wrong.
    fn judge(&self, mallob: &str, blob: &str, result: &str, data: &str) -> u16 {
        self.validated.fetch_add(1, Ordering::Relaxed);
        let strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        if mallob.is_empty() || strangers.contains(mallob) {
            return 414;
        }
        match pow_of_hex(blob) {
            Ok(hash) if hex::encode(hash) == result => {}
            Ok(_) | Err(_) => return 499,
        }
        if data == "bad" { 500 } else { 200 }
    }
}

#[async_trait::async_trait]
impl RpcHandler for Handler {
    async fn call(&self, method: &str, params: Value) -> Result<Value, RpcFault> {
        let texts: Option<Vec<String>> = params
            .as_array()
            .and_then(|list| list.iter().map(|item| Some(item.as_str()?.to_owned())).collect());
        let texts = texts.ok_or_else(|| RpcFault::bad_params("parameters are strings"))?;
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) = texts.clone();
        match (method, &*texts) {
            ("validate224", [mallob, _, blob, result, .., data]) if texts.len() == 10 => {
                Ok(json!(self.0.judge(mallob, blob, result, data)))
            }
            ("validate", [mallob, _, _, blob, result, .., data]) if texts.len() == 10 => {
                match self.0.judge(mallob, blob, result, data) {
                    200 => Ok(json!(200)),
                    code => Err(RpcFault::new(i64::from(code), "refused")),
                }
            }
            ("mallob", [_, payload, ..]) if texts.len() == 7 => {
                self.0.relayed.fetch_add(1, Ordering::Relaxed);
                Ok(json!(format!("heard:{payload}")))
            }
            ("validate224" | "validate" | "mallob", _) => {
                Err(RpcFault::bad_params(format!("{} parameters", texts.len())))
            }
            _ => Err(RpcFault::no_method(method)),
        }
    }
}
