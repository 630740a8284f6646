use std::{
    collections::HashMap,
    net::{SocketAddr, UdpSocket},
    sync::{Arc, Mutex, PoisonError},
};

/// A name server: a socket that speaks DNS. It answers for TXT records, and says of any other name that there is none.
#[derive(Clone, Default)]
pub struct NameServer(Arc<Mutex<HashMap<String, Vec<String>>>>);

impl NameServer {
    /// Listens on a port of its own, until the test ends.
    ///
    /// # Panics
    ///
    /// When this machine has no port.
    pub fn start(&self) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let address = socket.local_addr().expect("its address");
        let records = Arc::clone(&self.0);
        std::thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut query) {
                let answer =
                    answer(&query[..length], &records.lock().unwrap_or_else(PoisonError::into_inner));
                if socket.send_to(&answer, from).is_err() {
                    return;
                }
            }
        });
        address
    }

    /// Adds a record to a name.
    pub fn holds(&self, name: &str, value: &str) {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        records.entry(name.to_owned()).or_default().push(value.to_owned());
    }
}

/// RFC 1035, sections 4.1 and 3.3.14.
fn answer(query: &[u8], records: &HashMap<String, Vec<String>>) -> Vec<u8> {
    let (mut labels, mut at) = (Vec::new(), 12);
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
        at = end;
    }
    let question = &query[12..at + 5];
    let texts = records.get(&labels.join(".")).map_or(&[][..], Vec::as_slice);
    let no_such_name = u8::from(texts.is_empty()) * 3;
    let count = u8::try_from(texts.len()).expect("a test has few records");
    let mut answer = [&query[..2], &[0x81, 0x80 | no_such_name, 0, 1, 0, count, 0, 0, 0, 0]].concat();
    answer.extend(question);
    for text in texts {
        // In two pieces, as long texts are.
        let (one, two) = text.split_at(text.len() / 2);
        let length = u8::try_from(text.len() + 2).expect("a test has short records");
        answer.extend([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 0, length]);
        for piece in [one, two] {
            answer.push(u8::try_from(piece.len()).expect("shorter than both"));
            answer.extend(piece.as_bytes());
        }
    }
    answer
}
