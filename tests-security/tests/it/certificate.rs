//! Certificate: makes a self-signed certificate for `localhost` as PEM. Good for a day, never kept.

use anyhow::Result;
use openssl::{
    asn1::Asn1Time,
    bn::BigNum,
    hash::MessageDigest,
    pkey::PKey,
    rsa::Rsa,
    x509::{
        X509, X509NameBuilder,
        extension::{BasicConstraints, SubjectAlternativeName},
    },
};

pub(crate) struct Certificate {
    /// What a client must trust.
    pub(crate) certificate: String,
    /// What a broker shows: its private key and the certificate.
    pub(crate) keystore: Vec<u8>,
}

pub(crate) fn make() -> Result<Certificate> {
    let key = PKey::from_rsa(Rsa::generate(2048)?)?;
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_text("CN", "localhost")?;
    let name = name.build();
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_serial_number(BigNum::from_u32(1)?.to_asn1_integer()?.as_ref())?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    builder.set_pubkey(&key)?;
    builder.set_not_before(Asn1Time::days_from_now(0)?.as_ref())?;
    builder.set_not_after(Asn1Time::days_from_now(1)?.as_ref())?;
    builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
    let names = SubjectAlternativeName::new()
        .dns("localhost")
        .ip("127.0.0.1")
        .build(&builder.x509v3_context(None, None))?;
    builder.append_extension(names)?;
    builder.sign(&key, MessageDigest::sha256())?;
    let certificate = builder.build().to_pem()?;
    let mut keystore = key.private_key_to_pem_pkcs8()?;
    keystore.extend_from_slice(&certificate);
    Ok(Certificate {
        certificate: String::from_utf8(certificate)?,
        keystore,
    })
}
