//! What other databases do on the same machine in the same run.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::durable::{Rate, rate};

/// A single row, updated and committed by every client: what a hot bucket costs without batching.
pub(crate) fn pgbench(url: &str, clients: usize, seconds: u64) -> Rate {
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("update.sql");
    fs::write(&script, "UPDATE pgbench_hot SET n = n + 1 WHERE id = 1;\n").expect("write the script");
    let prepare = "CREATE TABLE IF NOT EXISTS pgbench_hot (id bigint PRIMARY KEY, n bigint NOT NULL);
        INSERT INTO pgbench_hot VALUES (1, 0) ON CONFLICT DO NOTHING";
    let made = Command::new("psql")
        .env("PGOPTIONS", "-c client_min_messages=warning")
        .args([url, "-q", "-c", prepare])
        .status()
        .expect("psql is installed");
    assert!(made.success());
    let output = Command::new("pgbench")
        .args(["-n", "-M", "prepared", "-j", "2", "-l", "--log-prefix"])
        .arg(folder.path().join("log"))
        // Its seconds begin with connecting, which takes many clients longer.
        .args(["-c", &clients.to_string(), "-T", &(seconds + clients as u64 / 64).to_string(), "-f"])
        .arg(&script)
        .arg(url)
        .output()
        .expect("pgbench is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut taken = Vec::new();
    for file in fs::read_dir(folder.path()).expect("the folder").flatten() {
        if file.file_name().to_string_lossy().starts_with("log") {
            let log = fs::read_to_string(file.path()).expect("the log");
            let micros = log.lines().filter_map(|line| line.split(' ').nth(2)?.parse().ok());
            taken.extend(micros.map(Duration::from_micros));
        }
    }
    let told = String::from_utf8_lossy(&output.stdout);
    let per_second =
        told.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    Rate { per_second: per_second.expect("it tells its rate"), ..rate(taken, Duration::from_secs(seconds)) }
}

struct Redis {
    server: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

/// One atomic script over two counters, fsync on every write, by Redis's own bench; nothing where it is not installed.
/// There is no reservation in it: it charges at once.
pub(crate) fn redis(clients: usize) -> Option<Rate> {
    const SCRIPT: &str = "if tonumber(redis.call('GET', KEYS[1]) or '0') < tonumber(ARGV[1]) \
        and tonumber(redis.call('GET', KEYS[2]) or '0') < tonumber(ARGV[1]) then \
        redis.call('INCR', KEYS[1]) redis.call('INCR', KEYS[2]) return 1 end return 0";
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("redis.sock");
    let server = Command::new("redis-server")
        .args(["--port", "0", "--appendonly", "yes", "--appendfsync", "always", "--save", ""])
        .args(["--maxclients", "2000", "--unixsocket"])
        .arg(&socket)
        .arg("--dir")
        .arg(folder.path())
        .stdout(Stdio::null())
        .spawn()
        .ok()?;
    let redis = Redis { server, _folder: folder };
    let ready = || {
        let ping = Command::new("redis-cli").arg("-s").arg(&socket).arg("ping").output();
        ping.is_ok_and(|ping| ping.stdout.starts_with(b"PONG"))
    };
    (0..100)
        .any(|_| {
            ready() || {
                std::thread::sleep(Duration::from_millis(50));
                false
            }
        })
        .then_some(())?;
    let calls = (clients * 2_000).clamp(5_000, 100_000);
    let output = Command::new("redis-benchmark")
        .arg("-s")
        .arg(&socket)
        .args(["-c", &clients.to_string(), "-n", &calls.to_string(), "--csv"])
        .args(["eval", SCRIPT, "2", "platform", "tenant", "1000000000"])
        .output()
        .ok()?;
    drop(redis);
    let text = String::from_utf8_lossy(&output.stdout);
    let fields: Vec<f64> = text
        .lines()
        .last()?
        .rsplit("\",\"")
        .filter_map(|cell| cell.trim_matches(['"', '\n', '\r']).parse().ok())
        .collect();
    // From the right: max, p99, p95, p50, least, mean, per second.
    let [_, p99, _, p50, _, _, per_second, ..] = fields[..] else { return None };
    Some(Rate { per_second, p50, p99 })
}
