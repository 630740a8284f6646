use std::fmt;
use std::io;
use std::time::Duration;

use jiff::Timestamp;
use native_tls::{Certificate, Identity, Protocol, TlsConnector};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::{Consume, Delivery, Outcome, SinkError};

/// Facility 13, log audit (RFC 5424 section 6.2.1).
const LOG_AUDIT: u8 = 13;
/// The longest MSGID (RFC 5424 section 6).
const MAX_MESSAGE_ID: usize = 32;

/// Sends every event to a syslog receiver: RFC 5424 messages over TLS (RFC 5425), each counted in octets.
///
/// Syslog knows no acknowledgement. The nearest to one is the receiver's own end of the connection: it comes once it has
/// read everything before ours. So each batch has a connection of its own, and is delivered when that was closed in order.
pub struct Syslog {
    connector: tokio_native_tls::TlsConnector,
    address: String,
    host: String,
    patience: Duration,
}

/// Whom to believe, and what to show, in PEM.
#[derive(Default)]
pub struct SyslogTrust {
    /// The authority that signed the receiver's certificate; without it, those the operating system knows.
    pub authority: Option<Vec<u8>>,
    /// Our own certificate and its key, where the receiver asks for one.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// Why there can be no such receiver.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyslogError {
    /// The address is not one.
    #[error("the address of a syslog receiver is `host:port`")]
    Address,
    /// A certificate or key cannot be read, or the client cannot be made.
    #[error("failed to prepare TLS for syslog")]
    Tls(#[from] native_tls::Error),
}

impl Syslog {
    /// Sends to `address`, `host:port`, and waits for a connection, and for its end, as long as `patience`.
    pub fn new(address: &str, trust: &SyslogTrust, patience: Duration) -> Result<Self, SyslogError> {
        let (host, port) = address.rsplit_once(':').ok_or(SyslogError::Address)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || port.parse::<u16>().is_err() {
            return Err(SyslogError::Address);
        }
        let mut builder = TlsConnector::builder();
        builder.min_protocol_version(Some(Protocol::Tlsv12));
        if let Some(authority) = &trust.authority {
            builder.add_root_certificate(Certificate::from_pem(authority)?).disable_built_in_roots(true);
        }
        if let Some((certificate, key)) = &trust.identity {
            builder.identity(Identity::from_pkcs8(certificate, key)?);
        }
        Ok(Self {
            connector: builder.build()?.into(),
            address: address.to_owned(),
            host: host.to_owned(),
            patience,
        })
    }

    async fn send(&self, text: &[u8]) -> Result<(), SinkError> {
        let socket = TcpStream::connect(&self.address).await.map_err(other)?;
        let mut stream = self.connector.connect(&self.host, socket).await.map_err(other)?;
        stream.write_all(text).await.map_err(other)?;
        stream.shutdown().await.map_err(other)?;
        let mut rest = [0; 64];
        loop {
            match stream.read(&mut rest).await {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                // Many close the socket without the note that TLS has for it.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(other(error)),
            }
        }
    }
}

impl Consume for Syslog {
    async fn deliver(&mut self, events: &[Delivery], _now: Timestamp) -> Result<(), SinkError> {
        let mut text = Vec::new();
        for event in events {
            let message = message(event).map_err(other)?;
            text.extend_from_slice(format!("{} ", message.len()).as_bytes());
            text.extend_from_slice(message.as_bytes());
        }
        timeout(self.patience, self.send(&text)).await.map_err(other)?
    }
}

/// `<PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG`. The message is the event as JSON, as in
/// [`JsonLines`](crate::JsonLines).
fn message(event: &Delivery) -> Result<String, serde_json::Error> {
    let said = &event.entry.event;
    let severity = match said.result {
        Outcome::Started | Outcome::Succeeded => 6,
        Outcome::Failed | Outcome::PolicyDenied | Outcome::AuthFailure | Outcome::Warning => 4,
    };
    let priority = LOG_AUDIT * 8 + severity;
    let name: String = said.name.chars().filter(char::is_ascii_graphic).take(MAX_MESSAGE_ID).collect();
    let name = if name.is_empty() { "-" } else { &name };
    let json = serde_json::to_string(event)?;
    Ok(format!("<{priority}>1 {time:.6} - chancery - {name} - {json}", time = said.time))
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> SinkError {
    SinkError::Other(error.into())
}

impl fmt::Debug for Syslog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Syslog({})", self.address)
    }
}

impl fmt::Debug for SyslogTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SyslogTrust")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::{Entry, Event, Hash, Metadata};

    #[test]
    fn a_message_is_one_of_rfc_5424() {
        let event = Event {
            id: Uuid::from_u128(1),
            name: "license.command.denied".into(),
            time: "2026-11-24T12:00:00.000001Z".parse().unwrap(),
            tenant: None,
            actor: "ada".to_owned(),
            command: None,
            result: Outcome::PolicyDenied,
            error_code: Some("NOT_ENTITLED".into()),
            duration: Some(Duration::from_millis(2)),
            correlation_id: None,
            trace_id: None,
            span_id: None,
            metadata: Metadata::new(),
            closes_call: false,
        };
        let delivery = Delivery { entry: Entry { event, sequence: 7, hash: Hash::NONE }, again: false };
        let message = message(&delivery).unwrap();
        let head = "<108>1 2026-11-24T12:00:00.000001Z - chancery - license.command.denied - {\"eventId\":";
        assert!(message.starts_with(head), "{message}");
        assert!(!message.contains('\n'));
    }

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for wrong in ["", "host", "host:", ":6514", "host:port", "host:99999"] {
            let refused = Syslog::new(wrong, &SyslogTrust::default(), Duration::from_secs(1)).unwrap_err();
            assert!(matches!(refused, SyslogError::Address), "{wrong}");
        }
        assert!(Syslog::new("[::1]:6514", &SyslogTrust::default(), Duration::from_secs(1)).is_ok());
    }
}
