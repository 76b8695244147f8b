//! The control plane's certificates and keys, made by rcgen for one run.

use std::path::PathBuf;

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

use crate::work_dir::WorkDir;

/// A certificate and its key, as files.
#[derive(Clone, Debug)]
pub struct Pair {
    /// PEM certificate.
    pub certificate: PathBuf,
    /// PEM (PKCS 8) key.
    pub key: PathBuf,
}

/// The run's certificate authority.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// The authority's own certificate and key.
    pub pair: Pair,
}

impl Authority {
    /// Makes a new authority and writes `ca.crt` and `ca.key`.
    pub fn new(work: &WorkDir) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "moorage-rig");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let pair = Pair {
            certificate: work.write("ca.crt", &issuer.pem())?,
            key: work.write("ca.key", &issuer.key().serialize_pem())?,
        };
        Ok(Self { issuer, pair })
    }

    /// A serving certificate for these DNS names and addresses.
    pub fn serving(&self, work: &WorkDir, name: &str, hosts: &[&str]) -> Result<Pair> {
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(hosts)?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(work, name, &params)
    }

    /// A client certificate: Kubernetes takes the common name as user, the organization as group.
    pub fn client(&self, work: &WorkDir, file: &str, user: &str, group: Option<&str>) -> Result<Pair> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, user);
        if let Some(group) = group {
            params.distinguished_name.push(DnType::OrganizationName, group);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(work, file, &params)
    }

    fn issue(&self, work: &WorkDir, file: &str, params: &CertificateParams) -> Result<Pair> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Pair {
            certificate: work.write(&format!("{file}.crt"), &certificate.pem())?,
            key: work.write(&format!("{file}.key"), &key.serialize_pem())?,
        })
    }
}

/// The key that `ServiceAccount` tokens are signed with: private and public PEM files.
pub fn service_account_key(work: &WorkDir) -> Result<Pair> {
    let key = KeyPair::generate()?;
    Ok(Pair {
        certificate: work.write("service-account.pub", &key.public_key_pem())?,
        key: work.write("service-account.key", &key.serialize_pem())?,
    })
}
