//! What a bench says of the machine it ran on, and its clock.

use std::{fs, process::Command as Process, thread, time::Instant};

use sdk::prelude::Ambient;

#[expect(clippy::disallowed_methods, reason = "a bench measures with the machine's clock")]
pub(crate) fn clock() -> Instant {
    Instant::now()
}

pub(crate) fn introduce() {
    println!("{}", introduction());
}

pub(crate) fn introduction() -> String {
    let today = Ambient::system().now().strftime("%F").to_string();
    format!("{today}, {}, {} cores\n{}", processor(), cores(), compiler())
}

fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or_else(|| "an unknown processor".to_owned(), |(_, name)| name.to_owned())
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn compiler() -> String {
    let answer = Process::new("rustc").arg("--version").output().map(|output| output.stdout);
    String::from_utf8_lossy(&answer.unwrap_or_default()).trim().to_owned()
}
