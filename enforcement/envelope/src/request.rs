//! What a deployment asks a vendor for: a signed document, made and read by files (semantics 3.1).
//!
//! The document names the installation, the people to talk to, and the public half of the key that the license will be
//! sealed to. It is a compact JWS (RFC 7515) by that very key, with a PKCS#10 request (RFC 2986) by the same key inside.
//!
//! **What the signature proves.** Whoever made the request holds the private key it names: proof of possession. It
//! proves nothing about who that is, for anybody can make a key and write any name beside it. The vendor therefore asks
//! the customer, over another channel, for the [`fingerprint`](LicenseRequest::fingerprint) that both sides show.
//!
//! The recipient key has two uses, this signature and opening licenses. `typ` in the header and `schema` in the document
//! keep a signed request from being taken for anything else (RFC 8725, 3.11).

use std::{collections::BTreeSet, fmt};

use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use jiff::Timestamp;
use openssl::{
    error::ErrorStack,
    hash::MessageDigest,
    nid::Nid,
    sha::sha256,
    x509::{X509Name, X509Req, X509ReqRef},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    armor::{ArmorError, Label, armor, dearmor_as},
    error::excerpt,
    key::{PublicKey, SignatureAlgorithm},
    recipient::{Recipient, RecipientPublic},
    signing,
};

/// The longest request that is read, in bytes of its compact form.
pub const MAX_REQUEST_BYTES: usize = 64 * 1024;

/// The longest text in a request, in characters.
pub const MAX_TEXT_CHARS: usize = 256;

/// The most contacts, and the most base domains.
pub const MAX_ENTRIES: usize = 32;

/// The longest installation id, in characters: it is a common name (RFC 5280, ub-common-name).
pub const MAX_INSTALLATION_ID_CHARS: usize = 64;

/// `typ` in the header of a request.
pub const REQUEST_TYPE: &str = "chancery-license-request+jws";

/// The document that is signed, schema version 1. Unknown members are refused.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestDocument {
    /// The version of this document.
    pub schema: RequestSchema,
    /// The deployment's name for this request.
    pub request_id: String,
    /// When it was made.
    pub generated_at: Timestamp,
    /// The installation the license will be bound to: 1 to 64 characters.
    pub installation_id: String,
    /// Who asks.
    pub organization_name: String,
    /// Whom the vendor may talk to; at least one.
    #[schemars(length(min = 1, max = 32))]
    pub contacts: Vec<Contact>,
    /// Domains the installation serves under.
    #[schemars(length(max = 32))]
    pub base_domains: Vec<String>,
    /// The key the license will be sealed to: a public JWK (RFC 7517) with `kid`.
    pub recipient: RecipientPublic,
    /// A PKCS#10 request by that key for the installation id as common name: DER in base64.
    pub certificate_signing_request: String,
    /// The license id that is to be renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renews: Option<String>,
    /// What the customer would like to have. The vendor decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<Wanted>,
}

/// Schema versions this build understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RequestSchema {
    /// The first.
    #[serde(rename = "urn:chancery:license-request:1")]
    V1,
}

/// Somebody the vendor may talk to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Contact {
    /// Where to write to.
    pub email: String,
    /// Given name.
    pub given_name: String,
    /// Family name.
    pub family_name: String,
    /// What they are to be asked about; at least one.
    #[schemars(length(min = 1))]
    pub roles: BTreeSet<ContactRole>,
    /// The name they go by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

/// What a contact is to be asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ContactRole {
    /// The installation.
    Technical,
    /// The contract.
    Administrator,
}

/// A product and one of its editions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Wanted {
    /// The product's id.
    pub product: String,
    /// The edition's id.
    pub edition: String,
}

/// A request whose signatures are the recipient key's. It comes from [`verify`](Self::verify) or from signing a
/// [`Draft`], and from nowhere else.
#[derive(Clone)]
pub struct LicenseRequest {
    document: RequestDocument,
    fingerprint: String,
}

/// A request that is not signed yet.
#[derive(Clone, Debug)]
pub struct Draft {
    request_id: String,
    generated_at: Timestamp,
    installation_id: String,
    organization_name: String,
    contacts: Vec<Contact>,
    base_domains: Vec<String>,
    renews: Option<String>,
    wanted: Option<Wanted>,
}

/// A request as it leaves the deployment. Nothing in it is secret.
#[derive(Clone)]
pub struct SignedRequest {
    token: String,
    request: LicenseRequest,
}

/// Why a request is not signed, or a text is not a request. What the text says is repeated only as far as it helps, cut
/// to 40 characters and escaped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Neither the compact nor the armored form.
    #[error(transparent)]
    Armor(#[from] ArmorError),
    /// Longer than [`MAX_REQUEST_BYTES`].
    #[error("the request has {bytes} bytes, at most {limit} are accepted")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
    /// Not three dotted parts of unpadded base64url.
    #[error("the request is not a compact JWS")]
    NotCompact,
    /// The header is not `alg`, `kid` and `typ` of a license request, and nothing else.
    #[error("the request's header is not that of a license request")]
    Header,
    /// The document is not JSON of the schema. Serde's text is not passed on, because it quotes the document.
    #[error("the request does not fit the schema at `{path}`")]
    Document {
        /// The member, as in `contacts[0].email`.
        path: String,
    },
    /// A schema version this build does not know.
    #[error("the request has the schema `{found}`, which this build does not know")]
    UnknownSchema {
        /// What it says.
        found: String,
    },
    /// The recipient holds a private key. Whoever sent it must make another one.
    #[error("the request holds a private key; it has left its deployment and must be replaced")]
    PrivateKey,
    /// A member is empty, too long, or holds control characters; a list is empty or too long.
    #[error("`{path}` of the request {problem}")]
    Member {
        /// The member.
        path: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The recipient key only agrees on keys (X25519), so it cannot sign the request.
    #[error("a recipient key of this kind cannot sign a request; make one on P-256 or of RSA")]
    CannotSign,
    /// `kid` is not the name of the recipient key.
    #[error("the request's header names another key than the recipient")]
    OtherKey,
    /// The signature is not the recipient key's.
    #[error("the request is not signed with the recipient key it names")]
    Signature,
    /// The PKCS#10 request is malformed, or not signed with its own key.
    #[error("the certificate signing request is malformed or not signed with its own key")]
    SigningRequest,
    /// The PKCS#10 request is for another key.
    #[error("the certificate signing request is for another key than the recipient")]
    SigningRequestKey,
    /// The PKCS#10 request is for another name.
    #[error("the certificate signing request is for another name than the installation id")]
    SigningRequestName,
    /// OpenSSL failed.
    #[error("openssl failed on the license request")]
    Crypto,
}

impl From<ErrorStack> for RequestError {
    fn from(_: ErrorStack) -> Self {
        Self::Crypto
    }
}

/// What a request's header says, and nothing else (RFC 7515, section 4).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: String,
    typ: String,
}

impl LicenseRequest {
    /// Begins a request. At least one contact is to be added.
    pub fn draft(request_id: &str, at: Timestamp, installation_id: &str, organization_name: &str) -> Draft {
        Draft {
            request_id: request_id.to_owned(),
            generated_at: at,
            installation_id: installation_id.to_owned(),
            organization_name: organization_name.to_owned(),
            contacts: Vec::new(),
            base_domains: Vec::new(),
            renews: None,
            wanted: None,
        }
    }

    /// Reads a request in its compact or armored form, and checks that whoever made it holds the key it names.
    pub fn verify(text: &str) -> Result<Self, RequestError> {
        let token = dearmor_as(Label::LicenseRequest, text)?;
        if token.len() > MAX_REQUEST_BYTES {
            return Err(RequestError::TooLarge { bytes: token.len(), limit: MAX_REQUEST_BYTES });
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(RequestError::NotCompact)?;
        let (header, payload) = signed.split_once('.').ok_or(RequestError::NotCompact)?;
        let [header_json, payload, signature] =
            [header, payload, signature].map(Base64UrlUnpadded::decode_vec);
        let header: Header = serde_json::from_slice(&header_json.map_err(|_| RequestError::NotCompact)?)
            .map_err(|_| RequestError::Header)?;
        if header.typ != REQUEST_TYPE {
            return Err(RequestError::Header);
        }

        // The key is inside what it signs, so the document is read first. It is trusted with nothing but its own key.
        let document = RequestDocument::parse(&payload.map_err(|_| RequestError::NotCompact)?)?;
        let jwk = required_members(&Map::from(document.recipient.clone())).ok_or(RequestError::CannotSign)?;
        let key = PublicKey::from_jwk(&jwk).map_err(|_| RequestError::CannotSign)?;
        let algorithm = SignatureAlgorithm::from_name(&header.alg).ok_or(RequestError::Header)?;
        if header.kid != document.recipient.key_id() {
            return Err(RequestError::OtherKey);
        }
        // The algorithm must be the key's own.
        let signature = signature.map_err(|_| RequestError::NotCompact)?;
        if !key.verifies(algorithm, signed.as_bytes(), &signature) {
            return Err(RequestError::Signature);
        }
        check_signing_request(&document, &key)?;
        Ok(Self { fingerprint: thumbprint(jwk), document })
    }

    /// What it says.
    pub const fn document(&self) -> &RequestDocument {
        &self.document
    }

    /// The installation the license will be bound to.
    pub fn installation_id(&self) -> &str {
        &self.document.installation_id
    }

    /// The key the license will be sealed to.
    pub const fn recipient(&self) -> &RecipientPublic {
        &self.document.recipient
    }

    /// SHA-256 thumbprint of the recipient key (RFC 7638), in lower-case hex. Deployment and vendor both show it, and
    /// people compare it over a channel they trust.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The published JSON Schema of version 1.
    pub fn json_schema() -> schemars::Schema {
        schemars::schema_for!(RequestDocument)
    }
}

impl RecipientPublic {
    /// SHA-256 thumbprint of the key (RFC 7638), in lower-case hex: that of every [`LicenseRequest`] it signs. Keys that
    /// cannot sign one have none.
    pub fn fingerprint(&self) -> Result<String, RequestError> {
        required_members(&Map::from(self.clone())).map(thumbprint).ok_or(RequestError::CannotSign)
    }
}

impl Draft {
    /// Adds somebody to talk to.
    #[must_use]
    pub fn contact(mut self, contact: Contact) -> Self {
        self.contacts.push(contact);
        self
    }

    /// Adds a domain the installation serves under.
    #[must_use]
    pub fn base_domain(mut self, domain: &str) -> Self {
        self.base_domains.push(domain.to_owned());
        self
    }

    /// Asks for a renewal of this license.
    #[must_use]
    pub fn renewing(self, license_id: &str) -> Self {
        Self { renews: Some(license_id.to_owned()), ..self }
    }

    /// Asks for an edition of a product.
    #[must_use]
    pub fn wanting(self, product: &str, edition: &str) -> Self {
        Self { wanted: Some(Wanted { product: product.to_owned(), edition: edition.to_owned() }), ..self }
    }

    /// Signs the request with the key that the license will be sealed to.
    pub fn sign(self, recipient: &Recipient) -> Result<SignedRequest, RequestError> {
        let key = recipient.key();
        let algorithm = signing::algorithm_of(key).ok_or(RequestError::CannotSign)?;
        check_name(&self.installation_id)?;
        let document = RequestDocument {
            schema: RequestSchema::V1,
            request_id: self.request_id,
            generated_at: self.generated_at,
            certificate_signing_request: signing_request(recipient, &self.installation_id)?,
            installation_id: self.installation_id,
            organization_name: self.organization_name,
            contacts: self.contacts,
            base_domains: self.base_domains,
            recipient: recipient.public(),
            renews: self.renews,
            wanted: self.wanted,
        };
        document.check()?;

        let header = json!({ "alg": algorithm.name(), "kid": recipient.key_id(), "typ": REQUEST_TYPE });
        let payload =
            serde_json::to_vec(&document).map_err(|_| RequestError::Document { path: ".".to_owned() })?;
        let token = signing::compact(&header, &payload, algorithm, key)?;
        // Read back: what the vendor would refuse does not leave.
        let request = LicenseRequest::verify(&token)?;
        Ok(SignedRequest { token, request })
    }
}

impl SignedRequest {
    /// The compact form, for a file.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The armored form, to be pasted.
    pub fn armored(&self) -> String {
        armor(Label::LicenseRequest, &self.token)
    }

    /// What it says.
    pub const fn request(&self) -> &LicenseRequest {
        &self.request
    }
}

impl RequestDocument {
    /// The schema version first, then the shape, then what the shape cannot say.
    fn parse(json: &[u8]) -> Result<Self, RequestError> {
        /// What every version has.
        #[derive(Deserialize)]
        struct Versioned {
            schema: String,
            recipient: Map<String, Value>,
        }
        let versioned: Versioned =
            serde_json::from_slice(json).map_err(|_| RequestError::Document { path: ".".to_owned() })?;
        if serde_json::from_value::<RequestSchema>(Value::from(versioned.schema.as_str())).is_err() {
            return Err(RequestError::UnknownSchema { found: excerpt(&versioned.schema) });
        }
        if PRIVATE_MEMBERS.iter().any(|member| versioned.recipient.contains_key(*member)) {
            return Err(RequestError::PrivateKey);
        }
        let document: Self =
            serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(json))
                .map_err(|error| RequestError::Document { path: excerpt(&error.path().to_string()) })?;
        document.check()?;
        Ok(document)
    }

    fn check(&self) -> Result<(), RequestError> {
        check_name(&self.installation_id)?;
        text("requestId", &self.request_id)?;
        text("organizationName", &self.organization_name)?;
        if self.contacts.is_empty() {
            return Err(RequestError::Member { path: "contacts", problem: "is empty" });
        }
        for (path, entries) in [("contacts", self.contacts.len()), ("baseDomains", self.base_domains.len())] {
            if entries > MAX_ENTRIES {
                return Err(RequestError::Member { path, problem: "has more than 32 entries" });
            }
        }
        for contact in &self.contacts {
            text("contacts.email", &contact.email)?;
            text("contacts.givenName", &contact.given_name)?;
            text("contacts.familyName", &contact.family_name)?;
            contact.display_name.as_deref().map_or(Ok(()), |name| text("contacts.displayName", name))?;
            if contact.roles.is_empty() {
                return Err(RequestError::Member { path: "contacts.roles", problem: "is empty" });
            }
            if contact.email.split_once('@').is_none_or(|(local, host)| local.is_empty() || host.is_empty()) {
                return Err(RequestError::Member { path: "contacts.email", problem: "is not an address" });
            }
        }
        self.base_domains.iter().try_for_each(|domain| text("baseDomains", domain))?;
        self.renews.as_deref().map_or(Ok(()), |id| text("renews", id))?;
        if let Some(wanted) = &self.wanted {
            text("wanted.product", &wanted.product)?;
            text("wanted.edition", &wanted.edition)?;
        }
        Ok(())
    }
}

impl Serialize for LicenseRequest {
    /// As its document.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.document.serialize(serializer)
    }
}

impl fmt::Debug for LicenseRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LicenseRequest")
            .field("request_id", &self.document.request_id)
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SignedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SignedRequest").field(&self.request).finish()
    }
}

/// Members of a JWK that only private and symmetric keys have (RFC 7518, 6.2.2, 6.3.2 and 6.4).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A text for people, from outside: on one line, so that no terminal obeys it.
fn text(path: &'static str, text: &str) -> Result<(), RequestError> {
    let problem = if text.trim().is_empty() {
        "is empty"
    } else if text.chars().count() > MAX_TEXT_CHARS {
        "has more than 256 characters"
    } else if text.chars().any(is_control) {
        "holds control characters"
    } else {
        return Ok(());
    };
    Err(RequestError::Member { path, problem })
}

/// Controls, and the marks that reorder a line of text under the reader's eyes.
fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn check_name(installation_id: &str) -> Result<(), RequestError> {
    text("installationId", installation_id)?;
    if installation_id.chars().count() > MAX_INSTALLATION_ID_CHARS {
        return Err(RequestError::Member { path: "installationId", problem: "has more than 64 characters" });
    }
    Ok(())
}

fn signing_request(recipient: &Recipient, installation_id: &str) -> Result<String, RequestError> {
    let mut name = X509Name::builder()?;
    name.append_entry_by_nid(Nid::COMMONNAME, installation_id)?;
    let mut request = X509Req::builder()?;
    request.set_version(0)?;
    request.set_subject_name(&name.build())?;
    request.set_pubkey(recipient.key())?;
    request.sign(recipient.key(), MessageDigest::sha256())?;
    Ok(Base64::encode_string(&request.build().to_der()?))
}

/// The PKCS#10 request must be the recipient key's, for the installation and nothing more.
fn check_signing_request(document: &RequestDocument, recipient: &PublicKey) -> Result<(), RequestError> {
    let malformed = |_| RequestError::SigningRequest;
    let der = Base64::decode_vec(&document.certificate_signing_request)
        .map_err(|_| RequestError::SigningRequest)?;
    let request = X509Req::from_der(&der).map_err(malformed)?;
    let key = request.public_key().map_err(malformed)?;
    if request.to_der().map_err(malformed)? != der || !request.verify(&key).map_err(malformed)? {
        return Err(RequestError::SigningRequest);
    }
    let spki = key.public_key_to_der().map_err(malformed)?;
    if PublicKey::from_spki_der(&spki).ok().as_ref() != Some(recipient) {
        return Err(RequestError::SigningRequestKey);
    }
    if common_name(&request).as_deref() != Some(document.installation_id.as_str()) {
        return Err(RequestError::SigningRequestName);
    }
    Ok(())
}

/// The common name, where it is all the subject says.
fn common_name(request: &X509ReqRef) -> Option<String> {
    let mut entries = request.subject_name().entries();
    let only = entries.next().filter(|entry| entry.object().nid() == Nid::COMMONNAME)?;
    let name = only.data().to_string().ok()?;
    entries.next().is_none().then_some(name)
}

/// What makes the key of a JWK, in the order of RFC 7638, section 3. What the JWK says it is for is left out: of all that is
/// signed, only the proof of possession may be by a key for encryption.
fn required_members(jwk: &Map<String, Value>) -> Option<Map<String, Value>> {
    let members: &[&str] = match jwk.get("kty").and_then(Value::as_str)? {
        "EC" => &["crv", "kty", "x", "y"],
        "RSA" => &["e", "kty", "n"],
        _ => return None,
    };
    members.iter().map(|&member| Some((member.to_owned(), jwk.get(member)?.clone()))).collect()
}

/// RFC 7638 with SHA-256, in lower-case hex.
fn thumbprint(required: Map<String, Value>) -> String {
    hex::encode(sha256(Value::Object(required).to_string().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_is_the_thumbprint_of_rfc_7638() {
        let jwk = json!({
            "kty": "RSA",
            "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjB\
                  ZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8\
                  KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_\
                  xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
            "e": "AQAB",
            "alg": "RS256",
            "kid": "2011-04-29",
        });
        let required = required_members(jwk.as_object().unwrap()).unwrap();
        let expected = Base64UrlUnpadded::decode_vec("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs").unwrap();
        assert_eq!(thumbprint(required), hex::encode(expected));
    }
}
