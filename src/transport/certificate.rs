//! The certificate a node shows in DTLS: ECDSA P-256, self-signed, made once per process and shared by all peers.

use crate::limits;
use dimpl::{Config, DtlsCertificate};
use std::fmt;
use std::sync::Arc;

/// A DTLS certificate with its private key and the handshake settings that go with it.
pub struct Certificate {
    pub(super) dtls: DtlsCertificate,
    pub(super) config: Arc<Config>,
}

/// Our own fault or the environment's; there is nothing a peer could do about it.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("cannot make a DTLS certificate: {0}; check the system's source of randomness")]
    Generate(dimpl::certificate::CertificateError),
    #[error("cannot set up DTLS: {0}; this build's crypto provider does not fit")]
    Config(dimpl::Error),
}

impl Certificate {
    /// Makes a fresh key and certificate.
    pub fn generate() -> Result<Certificate, CertificateError> {
        let dtls = dimpl::certificate::generate_self_signed_certificate().map_err(CertificateError::Generate)?;
        Ok(Certificate { dtls, config: Arc::new(config()?) })
    }

    /// SHA-256 of the certificate as `AB:CD:…`, for `a=fingerprint:sha-256`.
    pub fn fingerprint_sha256(&self) -> String {
        self.dtls.fingerprint_str()
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Certificate").field(&self.fingerprint_sha256()).finish()
    }
}

/// No cookie exchange: ICE has validated the address before any DTLS is read.
fn config() -> Result<Config, CertificateError> {
    Config::builder()
        .mtu(limits::DTLS_DATAGRAM_BYTES)
        .use_server_cookie(false)
        .flight_start_rto(limits::DTLS_RETRANSMIT)
        .flight_retries(limits::DTLS_RETRIES)
        .handshake_timeout(limits::DTLS_HANDSHAKE)
        .build()
        .map_err(CertificateError::Config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprint_is_colon_separated_sha256() {
        let text = Certificate::generate().unwrap().fingerprint_sha256();
        assert_eq!(text.len(), 32 * 3 - 1);
        assert!(text.split(':').all(|b| b.len() == 2 && u8::from_str_radix(b, 16).is_ok()), "{text}");
    }

    #[test]
    fn certificates_differ() {
        let [a, b] = [(); 2].map(|()| Certificate::generate().unwrap().fingerprint_sha256());
        assert_ne!(a, b);
    }
}
