use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use crate::{Consume, Delivery, SinkError};

/// Writes events to a file, one JSON object to a line. A file that has become large enough is set aside under its name
/// and `.1`, the one before under `.2`, and so on; the last of them goes.
#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
    size: u64,
    kept: u32,
    file: Option<File>,
}

impl JsonLines {
    /// Files of about `size` bytes, and as many earlier ones as `kept` says.
    pub fn new(path: impl Into<PathBuf>, size: u64, kept: u32) -> Self {
        Self { path: path.into(), size, kept, file: None }
    }

    async fn write(&mut self, events: &[Delivery]) -> io::Result<()> {
        let mut text = Vec::new();
        for event in events {
            serde_json::to_writer(&mut text, event)?;
            text.push(b'\n');
        }
        let mut file = match self.file.take() {
            Some(file) => file,
            None => reopened(&self.path).await?,
        };
        if file.metadata().await?.len() >= self.size {
            drop(file);
            self.rotate().await?;
            file = reopened(&self.path).await?;
        }
        file.write_all(&text).await?;
        file.sync_data().await?;
        // Not after a failure: what it left behind is mended on opening.
        self.file = Some(file);
        Ok(())
    }

    async fn rotate(&self) -> io::Result<()> {
        for n in (0..self.kept).rev() {
            match fs::rename(numbered(&self.path, n), numbered(&self.path, n + 1)).await {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if self.kept == 0 { fs::remove_file(&self.path).await } else { Ok(()) }
    }
}

impl Consume for JsonLines {
    async fn deliver(&mut self, events: &[Delivery], _now: Timestamp) -> Result<(), SinkError> {
        self.write(events).await.map_err(|error| SinkError::Other(error.into()))
    }
}

fn numbered(path: &Path, n: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    if n > 0 {
        name.push(format!(".{n}"));
    }
    name.into()
}

/// The file, without the part of a line that an earlier process left when it was killed: that event comes again.
async fn reopened(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().create(true).read(true).append(true).open(path).await?;
    let mut end = file.metadata().await?.len();
    let mut byte = [0];
    while end > 0 {
        file.seek(SeekFrom::Start(end - 1)).await?;
        file.read_exact(&mut byte).await?;
        if byte == *b"\n" {
            break;
        }
        end -= 1;
    }
    file.set_len(end).await?;
    Ok(file)
}
