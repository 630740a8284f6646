//! One-time codes by time (RFC 6238: SHA-1, six digits, thirty seconds), as every authenticator app makes them.

use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use sdk::{
    prelude::*,
    store::{Work, sqlx},
};
use sha1::Sha1;
use subtle::ConstantTimeEq as _;

use crate::{IdentityError, Secret};

/// How many recovery codes are made.
pub(crate) const RECOVERY_CODES: usize = 10;

/// What a shared secret is kept as.
pub(crate) const LABEL: &str = "second factor";

const PERIOD: i64 = 30;
const DIGITS: usize = 6;
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A shared secret of 160 bits, as RFC 4226 wants it.
pub(crate) fn secret(ambient: &Ambient) -> [u8; 20] {
    ambient.bytes()
}

/// The step whose code this is, among the present one and its neighbours: clocks differ. A step counts once, so one that
/// is not later than `last` does not count any more.
pub(crate) fn step_of(secret: &[u8], code: &str, now: Timestamp, last: i64) -> Option<i64> {
    let present = now.as_second().div_euclid(PERIOD);
    let near = [present - 1, present, present + 1];
    near.into_iter()
        .filter(|step| *step > last)
        .find(|step| bool::from(self::code(secret, *step).as_bytes().ct_eq(code.as_bytes())))
}

fn code(secret: &[u8], step: i64) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let at = usize::from(digest[19] & 0x0f);
    let truncated =
        u32::from_be_bytes([digest[at], digest[at + 1], digest[at + 2], digest[at + 3]]) & 0x7fff_ffff;
    format!("{:0DIGITS$}", truncated % 1_000_000)
}

/// What an app reads from a QR code.
pub(crate) fn uri(issuer: &str, account: &str, secret: &str) -> String {
    let (issuer, account) = (percent(issuer), percent(account));
    format!(
        "otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={PERIOD}"
    )
}

fn percent(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// Codes of 80 random bits for when the app is gone.
pub(crate) fn recovery_codes(ambient: &Ambient) -> Vec<Secret> {
    (0..RECOVERY_CODES)
        .map(|_| {
            let code = base32(&ambient.bytes::<10>()).to_lowercase();
            let groups: Vec<_> = code.as_bytes().chunks(4).map(String::from_utf8_lossy).collect();
            Secret::from(groups.join("-"))
        })
        .collect()
}

/// A recovery code as it was made, however it was typed; nothing, if it is none.
pub(crate) fn typed_recovery_code(text: &str) -> Option<Secret> {
    let letters: String = text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    let groups: Vec<_> = letters.as_bytes().chunks(4).map(String::from_utf8_lossy).collect();
    (letters.len() == 16).then(|| Secret::from(groups.join("-")))
}

/// Leaves an operator with one factor.
pub(crate) async fn forget_second_factor(
    work: &mut Work,
    operator: &str,
    now: Timestamp,
) -> Result<(), IdentityError> {
    sqlx::query(
        "UPDATE identity_operator SET totp_secret = NULL, totp_pending = NULL, updated_at = $1 WHERE id = $2",
    )
    .bind(now.as_microsecond())
    .bind(operator)
    .execute(&mut **work)
    .await?;
    forget_recovery_codes(work, operator).await
}

pub(crate) async fn forget_recovery_codes(work: &mut Work, operator: &str) -> Result<(), IdentityError> {
    sqlx::query("DELETE FROM identity_recovery_code WHERE operator = $1")
        .bind(operator)
        .execute(&mut **work)
        .await?;
    Ok(())
}

/// RFC 4648, section 6, without padding.
pub(crate) fn base32(bytes: &[u8]) -> String {
    let bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)).collect::<Vec<_>>();
    let letter = |five: &[u8]| {
        let value = (0..5).fold(0, |value, at| value << 1 | five.get(at).copied().unwrap_or(0));
        char::from(ALPHABET[usize::from(value)])
    };
    bits.chunks(5).map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";

    #[test]
    fn codes_are_those_of_rfc_6238() {
        // Appendix B, cut to six digits.
        for (second, expected) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code(SECRET, second / PERIOD), expected, "{second}");
        }
    }

    #[test]
    fn a_neighbouring_step_counts_and_no_step_counts_twice() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(step_of(SECRET, "081804", at(1_111_111_109), 0), Some(37_037_036));
        assert_eq!(step_of(SECRET, "081804", at(1_111_111_109 + 30), 0), Some(37_037_036));
        assert_eq!(step_of(SECRET, "081804", at(1_111_111_109 - 30), 0), Some(37_037_036));
        assert_eq!(step_of(SECRET, "081804", at(1_111_111_109 + 60), 0), None);
        assert_eq!(step_of(SECRET, "081804", at(1_111_111_109), 37_037_036), None);
        assert_eq!(step_of(SECRET, "81804", at(1_111_111_109), 0), None);
        assert_eq!(step_of(SECRET, "", at(1_111_111_109), 0), None);
    }

    #[test]
    fn base32_is_that_of_rfc_4648() {
        for (bytes, text) in
            [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foobar", "MZXW6YTBOI")]
        {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
        assert_eq!(base32(SECRET), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    }

    #[test]
    fn a_recovery_code_is_read_however_it_was_typed() {
        let codes = recovery_codes(&Ambient::system());
        assert_eq!(codes.len(), RECOVERY_CODES);
        let code = codes[0].expose();
        assert_eq!(code.len(), 19);
        assert!(typed_recovery_code(&code.to_uppercase().replace('-', " ")).unwrap() == codes[0]);
        assert!(typed_recovery_code("123456").is_none());
    }

    #[test]
    fn an_app_reads_the_secret_from_the_uri() {
        assert_eq!(
            uri("Chancery site 1", "ada@example.com", "MZXW6"),
            "otpauth://totp/Chancery%20site%201:ada%40example.com?secret=MZXW6&issuer=Chancery%20site%201&algorithm=SHA1&digits=6&period=30"
        );
    }
}
