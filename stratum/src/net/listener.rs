//! Where a server listens, and how its sockets are set.
//!
//! [`bind`] makes the socket (address reuse, backlog, shared port, a bounded kernel send buffer) and reads the TLS
//! files; the result is handed to the server. Options that keep a dead peer from holding a connection, keepalive and
//! the user timeout, are set on every accepted socket.

use super::tls::{self, TlsError, TlsFiles};
use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Connections the kernel may hold for us while we accept others. Linux cuts it at `somaxconn`, 4096 by default.
const BACKLOG: i32 = 4_096;
/// Kernel memory for what a peer does not read. A few hundred jobs fit; ten thousand stuck readers stay below a gigabyte.
const SEND_BUFFER_BYTES: usize = 64 * 1024;
/// Silence after which the kernel asks whether the peer is still there.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(15);
const KEEPALIVE_PROBES: u32 = 4;
/// How long sent bytes may stay unacknowledged: a miner whose power was cut is noticed at the next job.
#[cfg(target_os = "linux")]
const USER_TIMEOUT: Duration = Duration::from_secs(60);

/// Whether connections begin with a PROXY header. Only trusted sources may send one, whatever the rule says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyRule {
    /// Nobody sends one.
    #[default]
    Refused,
    /// Trusted sources may send one.
    Accepted,
    /// Trusted sources must send one. Other peers are served as themselves.
    Required,
}

/// One listening address, as configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerRules {
    /// Address and port; port 0 lets the kernel choose.
    pub address: SocketAddr,
    /// Certificate and key, for a TLS listener.
    #[serde(default)]
    pub tls: Option<TlsFiles>,
    /// Whether a PROXY header comes first.
    #[serde(default)]
    pub proxy: ProxyRule,
    /// Let other processes listen on the same port; the kernel spreads connections over them.
    #[serde(default)]
    pub reuse_port: bool,
}

impl ListenerRules {
    /// A plain listener.
    #[must_use]
    pub const fn plain(address: SocketAddr) -> Self {
        Self { address, tls: None, proxy: ProxyRule::Refused, reuse_port: false }
    }
}

/// Why a listener cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The address is taken, not ours, or not allowed.
    #[error("cannot listen on {address}: {source}")]
    Address {
        /// Which one.
        address: SocketAddr,
        /// The system's word.
        source: io::Error,
    },
    /// The TLS files are unusable.
    #[error("{0}")]
    Tls(#[from] TlsError),
}

/// A socket that listens.
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: TcpListener,
    pub(super) tls: Option<Arc<rustls::ServerConfig>>,
    pub(super) proxy: ProxyRule,
}

impl Listener {
    /// From a socket that listens already (socket activation, a test). It must be in non-blocking mode.
    ///
    /// # Errors
    /// What registering it with the runtime says.
    pub fn from_std(
        socket: std::net::TcpListener,
        tls: Option<Arc<rustls::ServerConfig>>,
        proxy: ProxyRule,
    ) -> io::Result<Self> {
        Ok(Self { socket: TcpListener::from_std(socket)?, tls, proxy })
    }

    /// Where it listens; the port is the real one.
    ///
    /// # Errors
    /// What the system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// Binds a listener. To be called within a tokio runtime; reads the TLS files, blocking.
///
/// # Errors
/// [`ListenError`], naming the address or the file.
pub fn bind(rules: &ListenerRules) -> Result<Listener, ListenError> {
    let tls = rules.tls.as_ref().map(tls::load).transpose()?;
    let address = rules.address;
    open(rules)
        .and_then(|socket| Listener::from_std(socket, tls, rules.proxy))
        .map_err(|source| ListenError::Address { address, source })
}

fn open(rules: &ListenerRules) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(rules.address), Type::STREAM, Some(Protocol::TCP))?;
    if rules.address.is_ipv6() {
        // One listener, one family: [::] and 0.0.0.0 may then stand side by side in a configuration.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    if rules.reuse_port {
        socket.set_reuse_port(true)?;
    }
    // Accepted sockets inherit it, and only before the handshake does it take effect in full.
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.set_nonblocking(true)?;
    socket.bind(&rules.address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Sets what every accepted socket needs.
pub(super) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_EVERY)
        .with_retries(KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(())
}
