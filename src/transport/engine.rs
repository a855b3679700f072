//! The DTLS engine behind a trait, so that a second one (for RSA peers) has a place. Called by `dtls`.

use super::certificate::Certificate;
use super::srtp::Profile;
use std::time::Instant;

/// What a DTLS engine gives out.
pub(super) enum Output<'a> {
    Packet(&'a [u8]),
    /// Leaf certificate of the peer, DER.
    Certificate(&'a [u8]),
    Keys(Profile, Vec<u8>),
    Connected,
    Data(&'a [u8]),
    Closed,
    /// The buffer must have at least so many bytes.
    NeedsRoom(usize),
    /// Nothing we use.
    Other,
    /// Nothing more until then.
    Wait(Instant),
}

/// A DTLS endpoint that is told the time. Errors are final.
pub(super) trait Engine: Send {
    fn handle_timeout(&mut self, now: Instant) -> Result<(), String>;
    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), String>;
    fn poll<'a>(&mut self, buf: &'a mut [u8]) -> Output<'a>;
    /// Queues one record of application data.
    fn send(&mut self, data: &[u8]) -> Result<(), String>;
    /// Queues a close_notify.
    fn close(&mut self);
}

/// The `dimpl` engine: DTLS 1.2 and 1.3, ECDSA only.
pub(super) struct Dimpl(dimpl::Dtls);

impl Dimpl {
    pub fn new(now: Instant, certificate: &Certificate, active: bool) -> Dimpl {
        let mut dtls = dimpl::Dtls::new_auto(certificate.config.clone(), certificate.dtls.clone(), now);
        dtls.set_active(active);
        Dimpl(dtls)
    }
}

impl Engine for Dimpl {
    fn handle_timeout(&mut self, now: Instant) -> Result<(), String> {
        self.0.handle_timeout(now).map_err(explain)
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), String> {
        use dimpl::{Error, UnexpectedMessageError};
        match self.0.handle_packet(packet) {
            // A client that has not found out the version yet keeps waiting: this datagram was no answer to it.
            Err(Error::UnexpectedMessage(UnexpectedMessageError::UnrecognizedAutoServerResponse)) => Ok(()),
            result => result.map_err(explain),
        }
    }

    fn poll<'a>(&mut self, buf: &'a mut [u8]) -> Output<'a> {
        match self.0.poll_output(buf) {
            dimpl::Output::Packet(packet) => Output::Packet(packet),
            dimpl::Output::BufferTooSmall { needed } => Output::NeedsRoom(needed),
            dimpl::Output::Timeout(until) => Output::Wait(until),
            dimpl::Output::Connected => Output::Connected,
            dimpl::Output::PeerCert(der) => Output::Certificate(der),
            dimpl::Output::KeyingMaterial(material, profile) => keys(&material, profile),
            dimpl::Output::ApplicationData(data) => Output::Data(data),
            dimpl::Output::CloseNotify => Output::Closed,
            _ => Output::Other,
        }
    }

    fn send(&mut self, data: &[u8]) -> Result<(), String> {
        self.0.send_application_data(data).map(|_| ()).map_err(explain)
    }

    fn close(&mut self) {
        // A connection that cannot say goodbye is closed all the same.
        let _ = self.0.close();
    }
}

fn keys(material: &[u8], profile: dimpl::SrtpProfile) -> Output<'static> {
    let profile = match profile {
        dimpl::SrtpProfile::AES128_CM_SHA1_80 => Profile::Aes128CmSha1_80,
        dimpl::SrtpProfile::AEAD_AES_128_GCM => Profile::AeadAes128Gcm,
        dimpl::SrtpProfile::AEAD_AES_256_GCM => Profile::AeadAes256Gcm,
        _ => return Output::Other,
    };
    Output::Keys(profile, material.to_vec())
}

/// Adds what an operator should look for to errors that have a usual cause.
fn explain(error: dimpl::Error) -> String {
    use dimpl::{Error, SecurityError};
    match &error {
        Error::SecurityError(SecurityError::NoMutuallyAcceptableCipherSuite | SecurityError::NoCommonCipherSuite)
        | Error::CertificateError(_) => {
            format!("{error}; a peer with an RSA certificate cannot connect: give it an ECDSA certificate")
        }
        Error::SecurityError(SecurityError::FatalAlert { .. }) => {
            format!("{error}; the peer refused the handshake: see its log")
        }
        Error::Timeout(_) => {
            format!("{error}; the peer stopped answering: look for a firewall that drops large packets")
        }
        _ => error.to_string(),
    }
}
