//! The little of DER (ITU-T X.690) that certificates and lists need.

use jiff::Timestamp;
use openssl::asn1::Asn1Object;

/// A value of this tag, its content the parts in their order.
pub fn value(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len().to_be_bytes();
    let significant = &length[length.iter().position(|byte| *byte != 0).unwrap_or(7)..];
    let mut whole = vec![tag];
    if content.len() < 0x80 {
        whole.push(significant[0]);
    } else {
        whole.push(0x80 | u8::try_from(significant.len()).expect("at most eight bytes"));
        whole.extend(significant);
    }
    whole.extend(content);
    whole
}

/// SEQUENCE.
pub fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    value(0x30, parts)
}

/// SEQUENCE OF.
pub fn sequence_of(items: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    value(0x30, &[&items.into_iter().collect::<Vec<_>>().concat()])
}

/// OBJECT IDENTIFIER, from its dotted form.
pub fn oid(dotted: &str) -> Vec<u8> {
    value(0x06, &[Asn1Object::from_str(dotted).expect("an object identifier").as_slice()])
}

/// INTEGER, not negative.
pub fn integer(bytes: &[u8]) -> Vec<u8> {
    let significant = &bytes[bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len() - 1)..];
    let sign: &[u8] = if significant[0] & 0x80 == 0 { &[] } else { &[0] };
    value(0x02, &[sign, significant])
}

/// BOOLEAN true.
pub const TRUE: &[u8] = &[0x01, 0x01, 0xff];

/// OCTET STRING.
pub fn octets(bytes: &[u8]) -> Vec<u8> {
    value(0x04, &[bytes])
}

/// BIT STRING of whole bytes.
pub fn bits(bytes: &[u8]) -> Vec<u8> {
    value(0x03, &[&[0], bytes])
}

/// `UTCTime` up to 2049, `GeneralizedTime` after (RFC 5280, 4.1.2.5).
pub fn time(at: Timestamp) -> Vec<u8> {
    let text = at.strftime("%Y%m%d%H%M%SZ").to_string();
    if text.as_str() < "2050" {
        value(0x17, &[&text.as_bytes()[2..]])
    } else {
        value(0x18, &[text.as_bytes()])
    }
}

/// A distinguished name that consists of a common name.
pub fn name(common_name: &str) -> Vec<u8> {
    let attribute = sequence(&[&oid("2.5.4.3"), &value(0x0c, &[common_name.as_bytes()])]);
    sequence(&[&value(0x31, &[&attribute])])
}

/// An extension (RFC 5280, 4.2).
pub fn extension(id: &str, critical: bool, content: &[u8]) -> Vec<u8> {
    sequence(&[&oid(id), if critical { TRUE } else { &[] }, &octets(content)])
}

/// The values that stand one after the other, each as a whole, or `None` where they do not end where the bytes do.
pub fn values(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut values = Vec::new();
    while !bytes.is_empty() {
        let (head, length) = head_and_length(bytes)?;
        let (value, rest) = bytes.split_at_checked(head.checked_add(length)?)?;
        values.push(value);
        bytes = rest;
    }
    Some(values)
}

/// The content of a value.
pub fn content(value: &[u8]) -> Option<&[u8]> {
    let (head, length) = head_and_length(value)?;
    value.get(head..head.checked_add(length)?)
}

/// What a certificate or a list signs, as it stands there, and its signature.
pub fn signed_and_signature(document: &[u8]) -> Option<(&[u8], &[u8])> {
    let parts = values(content(document)?)?;
    let [signed, _, signature] = parts[..] else { return None };
    Some((signed, content(signature)?.get(1..)?))
}

fn head_and_length(value: &[u8]) -> Option<(usize, usize)> {
    let first = usize::from(*value.get(1)?);
    if first < 0x80 {
        return Some((2, first));
    }
    let digits = value.get(2..2 + (first & 0x7f))?;
    let length = digits.iter().try_fold(0_usize, |length, digit| {
        length.checked_mul(256).and_then(|length| length.checked_add(usize::from(*digit)))
    })?;
    Some((2 + digits.len(), length))
}

/// PEM (RFC 7468).
pub fn pem(label: &str, der: &[u8]) -> String {
    let text = openssl::base64::encode_block(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        pem += std::str::from_utf8(line).expect("base64 is ASCII");
        pem.push('\n');
    }
    pem + &format!("-----END {label}-----\n")
}
