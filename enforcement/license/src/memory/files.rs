use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use tokio::task::spawn_blocking;

use super::{Mark, MemoryError, Name, Note, Row};

/// Notes in files of one process: the mark on the first line, the note on the second.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) last_good: Option<PathBuf>,
    pub(crate) last_seen: Option<PathBuf>,
}

impl Files {
    fn path(&self, name: Name) -> Option<&PathBuf> {
        match name {
            Name::Installed => None,
            Name::LastGood => self.last_good.as_ref(),
            Name::LastSeen => self.last_seen.as_ref(),
        }
    }

    pub(crate) async fn load(&self) -> Result<Vec<(Name, Option<Row>)>, MemoryError> {
        let files = self.clone();
        blocking(move || {
            let paths = Name::ALL.into_iter().filter_map(|name| Some((name, files.path(name)?)));
            Ok(paths.map(|(name, path)| (name, read(path))).collect())
        })
        .await
    }

    pub(crate) async fn keep(&self, note: &Note, replace: bool) -> Result<(), MemoryError> {
        let Some(path) = self.path(note.name).cloned() else { return Ok(()) };
        let row = note.row.clone();
        blocking(move || {
            if !replace && read(&path).is_some_and(|there| there.mark >= row.mark) {
                return Ok(());
            }
            write(&path, &row).map_err(|source| MemoryError::File { path, source })
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, MemoryError> + Send + 'static,
) -> Result<T, MemoryError> {
    spawn_blocking(work).await.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))
}

/// A file that is not as we write it, or that cannot be read, is a note that nobody believes.
fn read(path: &Path) -> Option<Row> {
    let broken = Row { mark: Mark { epoch: -1, version: -1 }, content: String::new() };
    match fs::read_to_string(path) {
        Ok(text) => Some(parse(&text).unwrap_or(broken)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(_) => Some(broken),
    }
}

fn parse(text: &str) -> Option<Row> {
    let (mark, content) = text.split_once('\n')?;
    let (epoch, version) = mark.split_once(' ')?;
    let mark = Mark { epoch: epoch.parse().ok()?, version: version.parse().ok()? };
    Some(Row { mark, content: content.trim_end().to_owned() })
}

/// Whole or not at all, and for the owner only.
fn write(path: &Path, row: &Row) -> io::Result<()> {
    let Row { mark: Mark { epoch, version }, content } = row;
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
    write!(file, "{epoch} {version}\n{content}\n")?;
    file.sync_all()?;
    fs::rename(&partial, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
