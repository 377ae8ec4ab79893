//! TLS for miners: a certificate chain and a key from PEM files, nothing else to decide.
//!
//! The provider is named here and never installed process-wide: that is the binary's to do, once. There is no client
//! certificate, no renegotiation (rustls has none), no early data and no compression. What a listener does with a
//! handshake that takes too long is the server's business.

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a listener's certificate and key are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// PEM file with the certificate, then its issuers.
    pub certificates: PathBuf,
    /// PEM file with the private key (PKCS #8, PKCS #1 or SEC 1).
    pub key: PathBuf,
}

/// Why TLS cannot be offered. The texts name files, never their contents.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read, or is no PEM of the wanted kind.
    #[error("cannot read {what} from {}: {source}", path.display())]
    File {
        /// What was looked for.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why it was not found.
        source: rustls_pki_types::pem::Error,
    },
    /// The certificate file holds no certificate.
    #[error("no certificate in {}", .0.display())]
    Empty(PathBuf),
    /// Key and certificate do not belong together, or are of a kind that cannot be used.
    #[error("certificate or key is unusable: {0}")]
    Unusable(#[from] rustls::Error),
}

/// Reads the files and builds what a TLS listener needs. Blocking file reads: call it before serving.
///
/// # Errors
/// [`TlsError`], naming the file.
pub fn load(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let fail = |what, path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::File { what, path, source }
    };
    let chain = CertificateDer::pem_file_iter(&files.certificates)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(fail("certificates", &files.certificates))?;
    if chain.is_empty() {
        return Err(TlsError::Empty(files.certificates.clone()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(fail("a private key", &files.key))?;
    config(chain, key)
}

/// What a TLS listener needs, from a chain and a key in memory.
///
/// # Errors
/// [`TlsError::Unusable`] when they do not belong together.
pub fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    // One ticket is enough for a miner that comes back; each costs the handshake a record.
    config.send_tls13_tickets = 1;
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str) -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn files_that_are_missing_empty_or_mismatched_are_named() {
        let folder = std::env::temp_dir().join(format!("pool-stratum-tls-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let ((certificate, key), (_, other_key)) = (pair("a.test"), pair("b.test"));
        let good = TlsFiles { certificates: write("cert", &certificate), key: write("key", &key) };
        assert!(load(&good).is_ok());
        let missing = TlsFiles { certificates: folder.join("nowhere"), ..good.clone() };
        assert!(load(&missing).unwrap_err().to_string().contains("nowhere"));
        let empty = TlsFiles { certificates: write("empty", "nothing here"), ..good.clone() };
        assert!(matches!(load(&empty), Err(TlsError::Empty(_) | TlsError::File { .. })));
        let keyless = TlsFiles { key: write("keyless", &certificate), ..good.clone() };
        assert!(matches!(load(&keyless), Err(TlsError::File { what: "a private key", .. })));
        let mismatched = TlsFiles { key: write("other", &other_key), ..good };
        assert!(matches!(load(&mismatched), Err(TlsError::Unusable(_))));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
