//! The transcript in the README is what happens. `BLESS=1` writes it anew.

use std::fs;

use chancery_acceptance::{Quickstart, root, text};
use kit::Database;

const BEGIN: &str = "<!-- transcript -->\n";
const END: &str = "<!-- /transcript -->";

#[tokio::test(flavor = "multi_thread")]
async fn the_transcript_in_the_readme_is_what_happens() {
    let path = root().join("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    let happened = transcript();
    if std::env::vars().any(|(name, _)| name == "BLESS") {
        fs::write(path, format!("{before}{BEGIN}{happened}{END}{after}")).unwrap();
        return;
    }
    assert!(written == happened, "README.md says:\n{written}\nbut this happens:\n{happened}");
}

fn transcript() -> String {
    let quickstart = Quickstart::over(Database::sqlite());
    let commands = quickstart.commands();
    let [allowed, refused, metered, audit, explain, _coverage] = commands.as_slice() else {
        panic!("six commands to paste, not {commands:#?}")
    };
    let mut lines = format!("$ cargo run --release -- quickstart\n{}", quickstart.welcome);
    let mut paste = |line: &str, times: usize| {
        for _ in 1..times {
            quickstart.paste(line);
        }
        let output = quickstart.paste(line);
        lines += &format!("\n$ {line}");
        if times > 1 {
            lines += &format!("     # the {times}th time");
        }
        lines += &format!("\n{}{}", text(&output.stdout), text(&output.stderr));
    };
    paste(allowed, 1);
    paste(refused, 1);
    paste(metered, 4);
    paste(explain, 1);
    paste(&format!("{audit} | grep -E 'commandId|errorCode'"), 1);
    format!("\n```console\n{}```\n\n", settled(&lines))
}

/// What differs from run to run, as it might be: ids, instants, the port, the folder.
fn settled(lines: &str) -> String {
    let lines = lines
        .replace("./demo", "quickstart")
        .replace("demo/", "quickstart/")
        .replace("   demo\n", "   quickstart\n");
    lines.split_inclusive('\n').map(settled_line).collect()
}

fn settled_line(line: &str) -> String {
    let mut settled = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(|c: char| c.is_ascii_alphanumeric() || c == '/') {
        let (plain, word) = rest.split_at(at);
        let end =
            word.find(|c: char| !(c.is_ascii_alphanumeric() || "/.-_:+".contains(c))).unwrap_or(word.len());
        let (word, left) = word.split_at(end);
        settled += plain;
        settled += &settled_word(word);
        rest = left;
    }
    settled + rest
}

fn settled_word(word: &str) -> String {
    if word.ends_with("/chancery") {
        return "target/release/chancery".to_owned();
    }
    if let Some(port) = word.strip_prefix("http://127.0.0.1:") {
        assert!(port.parse::<u16>().is_ok(), "{word} ends in a port");
        return "http://127.0.0.1:8080".to_owned();
    }
    if word.starts_with("http://localhost:") {
        return "http://localhost:8080/console".to_owned();
    }
    let is_uuid = |text: &str| text.len() == 36 && text.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    if is_uuid(word) {
        return "01a20554-7b1e-7c3a-9d52-6f0c8e4b2a17".to_owned();
    }
    if let Some(id) = word.strip_prefix("dev-")
        && is_uuid(id)
    {
        return "dev-01a20554-70c2-7f11-8a3b-2d9e5c7f1b04".to_owned();
    }
    if word.starts_with("operator:admin-") {
        return "operator:admin-6f0c8e4b2a17".to_owned();
    }
    let is_instant = word.len() >= 20 && word.as_bytes()[10] == b'T' && word.starts_with("20");
    if is_instant { "2026-12-22T12:00:00Z".to_owned() } else { word.to_owned() }
}
