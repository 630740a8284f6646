//! The vendor's guide, pasted.

use std::{env, fs, path::Path, process::Command};

use crate::desk::Desk;

#[test]
fn every_block_of_the_vendors_guide_runs_in_its_order() {
    let desk = Desk::new();
    desk.write("request.txt", &desk.request(|draft| draft.wanting("chancery", "pro")).armored());
    desk.write("renewal.txt", &desk.request(|draft| draft.renewing("L-2026-1")).armored());
    fs::create_dir(desk.path("catalog")).unwrap();
    for slice in ["platform.toml", "tenancy.toml"] {
        fs::rename(desk.path(slice), desk.path("catalog").join(slice)).unwrap();
    }

    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/vendor.md");
    let guide = fs::read_to_string(guide).unwrap();
    let blocks: Vec<&str> =
        guide.split("```sh\n").skip(1).map(|rest| rest.split("```\n").next().unwrap()).collect();
    assert!(blocks.len() > 8, "the guide has blocks to run");
    let tool = Path::new(env!("CARGO_BIN_EXE_chancery-issuer")).parent().unwrap();
    let output = Command::new("sh")
        .args(["-eux", "-c", &blocks.concat()])
        .current_dir(desk.path("."))
        .env_clear()
        .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", tool.display()))
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    let progress = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{shown}\n{progress}");

    // What the guide promises on the way.
    for words in [
        "~ /grant/quotas/tenancy.exports.max  250 -> 500",
        "revoked          ",
        "PrivilegeWithdrawn",
        "license          K-2026-1",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    fs::rename(desk.path("acme.jwe"), desk.path("license.jwe")).unwrap();
    let claims = desk.open();
    assert_eq!(claims.grant.quotas["tenancy.exports.max"], 250);
    assert_eq!(claims.binding.base_domains, ["acme.example"]);
}
