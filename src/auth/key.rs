//! Private keys, and the assertions that they sign: JSON Web Tokens (RFC 7519).
//!
//! Both signatures need no random numbers: PKCS #1 v1.5 has none, and ECDSA takes its own from key and text (RFC 6979).

use super::model::Algorithm;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use p256::pkcs8::DecodePrivateKey as _;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::signature::{SignatureEncoding as _, Signer as _};
use serde_json::{Value, json};
use sha2::Sha256;
use zeroize::Zeroizing;

/// A private key.
pub enum PrivateKey {
    /// For RS256.
    Rsa(Box<rsa::pkcs1v15::SigningKey<Sha256>>),
    /// For ES256.
    Ec(Box<p256::ecdsa::SigningKey>),
}

impl PrivateKey {
    /// Reads a key in PEM: PKCS #8, or the older forms of RSA (PKCS #1) and EC (SEC 1). Line breaks may be written `\n`, as
    /// they are where a key stands in JSON or in a variable. The error says what is wrong, and never what was read.
    pub fn parse(pem: &str, passphrase: Option<&str>) -> Result<Self, &'static str> {
        let pem = Zeroizing::new(pem.replace("\\n", "\n"));
        let (label, der) = decode(&pem).ok_or("the private key is not in PEM")?;
        let unreadable = "the private key cannot be read: neither RSA nor EC on the curve P-256";
        match label {
            "PRIVATE KEY" => Self::of_pkcs8(&der).ok_or(unreadable),
            "ENCRYPTED PRIVATE KEY" => decrypt(&der, passphrase.ok_or("the private key needs its passphrase")?),
            "RSA PRIVATE KEY" => {
                rsa::PrivateKey::from_pkcs1_der(&der).map(Self::of_rsa).map_err(|_| "the private key cannot be read")
            }
            "EC PRIVATE KEY" => p256::SecretKey::from_sec1_der(&der).map(Self::of_ec).map_err(|_| unreadable),
            _ => Err("the private key is something else than a private key"),
        }
    }

    fn of_pkcs8(der: &[u8]) -> Option<Self> {
        let rsa = || rsa::PrivateKey::from_pkcs8_der(der).map(Self::of_rsa).ok();
        p256::SecretKey::from_pkcs8_der(der).map(Self::of_ec).ok().or_else(rsa)
    }

    fn of_rsa(key: rsa::PrivateKey) -> Self {
        Self::Rsa(Box::new(rsa::pkcs1v15::SigningKey::new(key)))
    }

    fn of_ec(key: p256::SecretKey) -> Self {
        Self::Ec(Box::new(key.into()))
    }

    /// What it signs by.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa(_) => Algorithm::RS256,
            Self::Ec(_) => Algorithm::ES256,
        }
    }

    /// The token of these claims, signed. None where the key does not sign, such as an RSA key that is too short.
    pub fn assertion(&self, claims: &Value) -> Option<String> {
        let header = json!({"alg": format!("{:?}", self.algorithm()), "typ": "JWT"});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&header), part(claims));
        let signature = match self {
            Self::Rsa(key) => key.try_sign(text.as_bytes()).ok()?.to_vec(),
            Self::Ec(key) => {
                let signature: p256::ecdsa::Signature = key.try_sign(text.as_bytes()).ok()?;
                signature.to_vec()
            }
        };
        Some(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// The label of a PEM text (RFC 7468), and what it holds.
fn decode(pem: &str) -> Option<(&str, Zeroizing<Vec<u8>>)> {
    let (_, from) = pem.split_once("-----BEGIN ")?;
    let (label, from) = from.split_once("-----")?;
    let (text, _) = from.split_once("-----END ")?;
    let text: Zeroizing<String> = Zeroizing::new(text.chars().filter(|c| !c.is_whitespace()).collect());
    Some((label, Zeroizing::new(STANDARD.decode(text.as_bytes()).ok()?)))
}

#[cfg(not(target_family = "wasm"))]
fn decrypt(der: &[u8], passphrase: &str) -> Result<PrivateKey, &'static str> {
    let encrypted = pkcs8::EncryptedPrivateKeyInfoRef::try_from(der).map_err(|_| "the private key cannot be read")?;
    let opened = encrypted
        .decrypt(passphrase)
        .map_err(|_| "the passphrase does not open the private key, or it is encrypted in another way than PBES2")?;
    PrivateKey::of_pkcs8(opened.as_bytes())
        .ok_or("the private key cannot be read: neither RSA nor EC on the curve P-256")
}

/// Where no host signs, an encrypted key would lie in the same configuration as its passphrase, so the component does
/// without the code that opens it.
#[cfg(target_family = "wasm")]
fn decrypt(_der: &[u8], _passphrase: &str) -> Result<PrivateKey, &'static str> {
    Err("an encrypted private key can only be opened by a host that holds credentials; give it without a passphrase")
}
