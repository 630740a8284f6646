//! The paste-able text form, through its public doors and against the `openssl` command.

use std::{
    borrow::Cow,
    io::Write as _,
    process::{Command, Stdio},
};

use chancery_envelope::armor::{ArmorError, Label, MAX_ARMORED_BYTES, armor, dearmor, dearmor_as};
use proptest::prelude::*;

const LABELS: [Label; 3] = [Label::License, Label::LicenseKey, Label::LicenseRequest];

fn token() -> String {
    ["eyJhbGciOiJFUzI1NiJ9"; 12].join(".")
}

#[test]
fn the_compact_form_is_read_as_it_is() {
    let token = token();
    assert!(matches!(dearmor(&token), Ok(Cow::Borrowed(read)) if read == token));
    assert_eq!(dearmor(&format!("\n {token}\r\n\n")).unwrap(), token);
}

#[test]
fn the_armored_form_holds_the_compact_one_in_lines_of_64() {
    for label in LABELS {
        let text = armor(label, &format!("{}\n", token()));
        assert!(text.starts_with(&format!("-----BEGIN {label}-----\n")), "{text}");
        assert!(text.ends_with(&format!("\n-----END {label}-----\n")), "{text}");
        assert!(text.lines().filter(|line| !line.starts_with('-')).all(|line| line.len() <= 64), "{text}");
        assert_eq!(dearmor(&text).unwrap(), token());
    }
}

#[test]
fn line_ends_and_white_space_around_the_block_do_not_matter() {
    let text = armor(Label::License, &token());
    for pasted in [text.replace('\n', "\r\n"), format!("\n\n  {text}\t \n"), text.trim().to_owned()] {
        assert_eq!(dearmor(&pasted).unwrap(), token(), "{pasted}");
    }
}

#[test]
fn what_a_mail_adds_or_loses_is_refused() {
    let text = armor(Label::License, &token());
    let lines: Vec<&str> = text.lines().collect();
    let quoted = lines.iter().map(|line| format!("> {line}\n")).collect::<String>();
    let without = |index: usize| {
        let kept = lines.iter().enumerate().filter(|(at, _)| *at != index).map(|(_, line)| *line);
        kept.collect::<Vec<_>>().join("\n")
    };
    for (pasted, refusal) in [
        (format!("Hello,\n{text}"), ArmorError::NeitherForm),
        (format!("{text}\nRegards"), ArmorError::NeitherForm),
        (quoted, ArmorError::NeitherForm),
        (without(0), ArmorError::NeitherForm),
        (without(lines.len() - 1), ArmorError::NeitherForm),
        (text.replace("END CHANCERY LICENSE", "END CHANCERY LICENSE KEY"), ArmorError::Damaged),
        (text.replacen(lines[2], &lines[2][1..], 1), ArmorError::Damaged),
        (text.replacen(lines[2], &format!("{}é", &lines[2][2..]), 1), ArmorError::Damaged),
        (format!("{text}{text}"), ArmorError::Damaged),
        (text.replace('\n', ""), ArmorError::Damaged),
        (format!("{}\n\n{}", lines[0], lines[lines.len() - 1]), ArmorError::Damaged),
        (String::new(), ArmorError::NeitherForm),
        ("license".to_owned(), ArmorError::NeitherForm),
        ("-----BEGIN -----".to_owned(), ArmorError::Damaged),
    ] {
        assert_eq!(dearmor(&pasted), Err(refusal), "{pasted}");
    }
}

#[test]
fn a_block_of_something_else_is_refused_by_what_was_to_be_read() {
    let certificate = armor(Label::License, &token()).replace("CHANCERY LICENSE", "CERTIFICATE");
    assert_eq!(dearmor(&certificate), Err(ArmorError::Label { expected: None }));
    for (label, other) in [(Label::License, Label::LicenseRequest), (Label::LicenseRequest, Label::License)] {
        let text = armor(label, &token());
        assert_eq!(dearmor_as(label, &text).unwrap(), token());
        assert_eq!(dearmor_as(other, &text), Err(ArmorError::Label { expected: Some(other) }));
    }
    let refusal = dearmor_as(Label::LicenseRequest, &armor(Label::License, &token())).unwrap_err();
    assert_eq!(refusal.to_string(), "the block does not hold a license request");
    // The compact form says nothing of itself.
    assert_eq!(dearmor_as(Label::License, &token()).unwrap(), token());
}

#[test]
fn a_block_must_hold_a_token() {
    let text = armor(Label::License, "not a token");
    assert_eq!(dearmor(&text), Err(ArmorError::Damaged));
}

#[test]
fn an_oversized_text_is_refused_before_it_is_read() {
    let long = "a.".repeat(MAX_ARMORED_BYTES);
    assert!(matches!(dearmor(&long), Err(ArmorError::TooLarge { .. })));
    // The longest token that is read elsewhere fits.
    let token = "a".repeat(chancery_envelope::MAX_TOKEN_BYTES - 1) + ".";
    assert_eq!(dearmor(&armor(Label::License, &token)).unwrap(), token);
}

#[test]
fn an_independent_decoder_reads_the_same() {
    let text = armor(Label::LicenseRequest, &token());
    let body: String = text.lines().filter(|line| !line.starts_with('-')).map(|l| format!("{l}\n")).collect();
    let mut decoder = Command::new("openssl")
        .args(["base64", "-d"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the openssl command must be installed");
    decoder.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
    assert_eq!(decoder.wait_with_output().unwrap().stdout, token().as_bytes());
}

proptest! {
    #[test]
    fn every_token_survives_the_armor(token in "[A-Za-z0-9_-]{1,200}(\\.[A-Za-z0-9_-]{0,200}){2,4}") {
        for label in LABELS {
            let text = armor(label, &token);
            prop_assert_eq!(dearmor_as(label, &text).unwrap(), token.as_str());
        }
    }

    #[test]
    fn reading_any_text_answers_without_panicking(text in "(-----BEGIN )?\\PC{0,200}(-----)?") {
        let _ = dearmor(&text);
    }
}
