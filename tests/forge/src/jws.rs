//! Compact JWS (RFC 7515).

use serde_json::{Value, json};

use crate::{base64url, certificate::Entity, key::Key};

/// What a license carries as header: the algorithm of the first certificate's key, and the chain.
pub fn header(chain: &[&Entity]) -> Value {
    let x5c: Vec<String> = chain.iter().map(|entity| entity.x5c()).collect();
    json!({ "alg": chain[0].key.algorithm(), "x5c": x5c })
}

/// A JWS by this key's own algorithm, whatever its header says.
pub fn sign(header: &str, payload: &[u8], key: &Key) -> String {
    let signed = format!("{}.{}", base64url(header), base64url(payload));
    let signature = key.sign_jws(signed.as_bytes());
    format!("{signed}.{}", base64url(signature))
}
