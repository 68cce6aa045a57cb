//! The TLS client configuration, made on first use.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;

use super::ConnectError;

#[derive(Debug)]
pub(super) struct LazyTls {
    verify: bool,
    ca_bundle: Option<PathBuf>,
    config: OnceCell<Arc<ClientConfig>>,
}

impl LazyTls {
    pub(super) const fn new(verify: bool, ca_bundle: Option<PathBuf>) -> Self {
        Self { verify, ca_bundle, config: OnceCell::const_new() }
    }

    pub(super) async fn connector(&self) -> Result<TlsConnector, ConnectError> {
        let config = self
            .config
            .get_or_try_init(|| async {
                let verify = self.verify;
                let ca_bundle = self.ca_bundle.clone();
                // Reading a hundred certificate files must not hold up the other connections.
                tokio::task::spawn_blocking(move || build(verify, ca_bundle.as_deref()))
                    .await
                    .map_err(|error| ConnectError::Roots { reason: error.to_string() })?
                    .map(Arc::new)
            })
            .await?;
        Ok(TlsConnector::from(Arc::clone(config)))
    }
}

fn build(verify: bool, ca_bundle: Option<&Path>) -> Result<ClientConfig, ConnectError> {
    let failed = |reason: String| ConnectError::Roots { reason };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?;
    if !verify {
        return Ok(builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AcceptAny(provider)))
            .with_no_client_auth());
    }
    let mut roots = RootCertStore::empty();
    let (added, problem) = match ca_bundle {
        Some(path) => {
            let name = path.display();
            let certs = CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| failed(format!("{name}: {error}")))?;
            (roots.add_parsable_certificates(certs).0, format!("{name} has none"))
        }
        None => {
            let native = rustls_native_certs::load_native_certs();
            let problem = native.errors.first().map_or_else(|| "none found".to_owned(), ToString::to_string);
            (roots.add_parsable_certificates(native.certs).0, problem)
        }
    };
    if added == 0 {
        return Err(failed(problem));
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Accepts every certificate, as the flag `-k` asks for. Signatures of the handshake are still checked.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
