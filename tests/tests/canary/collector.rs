//! Who takes what is sent over HTTP.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
};

/// Takes whatever is sent and keeps it.
pub(crate) struct Collector {
    pub(crate) address: String,
    had: Arc<Mutex<Vec<u8>>>,
}

impl Collector {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address").to_string();
        let had = Arc::<Mutex<Vec<u8>>>::default();
        let kept = Arc::clone(&had);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || {
                    let mut stream = stream;
                    let mut bytes = Vec::new();
                    let mut part = vec![0; 65536];
                    while let Ok(count) = stream.read(&mut part)
                        && count > 0
                    {
                        bytes.extend_from_slice(&part[..count]);
                        while let Some(body) = complete(&mut bytes) {
                            kept.lock().unwrap().extend_from_slice(&body);
                            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
                        }
                    }
                });
            }
        });
        Self { address, had }
    }

    /// Everything it was sent.
    pub(crate) fn had(&self) -> String {
        String::from_utf8_lossy(&self.had.lock().unwrap()).into_owned()
    }
}

/// The body of a request, once all of it is there. Headers are left out: the secret belongs there.
fn complete(bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let headers = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
    let length = headers
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))?
        .trim()
        .parse::<usize>()
        .ok()?;
    (bytes.len() >= head + 4 + length).then(|| bytes.drain(..head + 4 + length).skip(head + 4).collect())
}
