use std::{collections::BTreeMap, fs, ops::Range, path::Path};

use secrets::{NotAReference, SecretRef};
use serde::Deserialize;
use toml::{
    Spanned,
    de::{DeTable, DeValue, Deserializer, Error},
};

use crate::{
    Config, ConfigError, Origin,
    keys::{Kind, Place},
};

const PREFIX: &str = "CHANCERY_";

/// Variables of ours that are not configuration: the operators' tool and the vendor's read them.
fn is_of_other_use(name: &str) -> bool {
    matches!(name, "CHANCERY_CREDENTIALS" | "CHANCERY_CONFIG") || name.starts_with("CHANCERY_ISSUER_")
}

impl Config {
    /// Reads the file, if there is one, and lays the variables of the environment over it. Those that do not begin with
    /// `CHANCERY_`, or that other programs of ours read, are passed over.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let text = file.map_or_else(|| Ok(String::new()), read)?;
        let schema = Self::json_schema();
        let root = Place::root(&schema);
        let environment: Vec<_> = environment.into_iter().collect();
        let settings = Setting::all(environment.iter().cloned(), root)?;
        let positions = Positions { file, text: &text, settings: &settings };

        // The message alone: printed as a whole, a syntax error shows its line, which may hold a secret.
        let mut document =
            DeTable::parse(&text).map_err(|error| positions.refused(&error, error.message()))?;
        if let Some(folder) = file.and_then(Path::parent) {
            anchor(document.get_mut(), root, folder);
        }
        for (at, setting) in settings.iter().enumerate() {
            let span = positions.span_of_setting(at);
            let value = setting.typed(&span)?;
            lay(document.get_mut(), &setting.keys, value, span);
        }
        for section in root.required() {
            // So that what is missing is named by its key, not by its section.
            let (name, empty) = (section.to_owned().into(), DeValue::Table(DeTable::new()));
            document.get_mut().entry(Spanned::new(0..0, name)).or_insert(Spanned::new(0..0, empty));
        }
        let mut named = Vec::new();
        secrets_of(document.get_ref(), root, "", &mut named);
        let config = Self::deserialize(Deserializer::from(document))
            .map_err(|error| positions.refused(&error, &error.to_string()))?;
        Ok(config.naming(environment, named))
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })
}

/// What one variable of the environment sets.
struct Setting {
    variable: String,
    keys: Vec<String>,
    kind: Kind,
    text: String,
}

impl Setting {
    fn all(
        environment: impl IntoIterator<Item = (String, String)>,
        root: Place<'_>,
    ) -> Result<Vec<Self>, ConfigError> {
        let ours: BTreeMap<_, _> = environment
            .into_iter()
            .filter(|(name, _)| name.starts_with(PREFIX) && !is_of_other_use(name))
            .collect();
        let mut settings = Vec::<Self>::new();
        for (variable, value) in ours {
            let setting = Self::of(variable, value, root)?;
            if let Some(other) = settings.iter().find(|other| other.keys == setting.keys) {
                return Err(setting.refused(format!("`{}` sets the same key", other.variable)));
            }
            settings.push(setting);
        }
        Ok(settings)
    }

    fn of(variable: String, value: String, root: Place<'_>) -> Result<Self, ConfigError> {
        let find = |key: &str| key.split('.').try_fold(root, Place::child);
        let names = |key: &str| key.split('.').map(str::to_owned).collect();
        let key = key_of(&variable);
        if let Some(place) = find(&key) {
            let text = if place.is_secret() { reference(&variable, value)? } else { value };
            return Ok(Self { variable, keys: names(&key), kind: place.kind(), text });
        }
        let secret = key.strip_suffix("-file").and_then(|key| Some((key, find(key)?)));
        if let Some((key, place)) = secret.filter(|(_, place)| place.is_secret()) {
            let unreadable = |source| ConfigError::Unreadable { path: value.clone().into(), source };
            let path = std::path::absolute(&value).map_err(unreadable)?;
            return Ok(Self {
                keys: names(key),
                variable,
                kind: place.kind(),
                text: SecretRef::File(path).to_string(),
            });
        }
        let message = format!("unknown key `{key}`");
        Err(ConfigError::Refused { origin: Origin::Variable(variable), message })
    }

    /// The text as the kind of value its key takes.
    fn typed(&self, span: &Range<usize>) -> Result<DeValue<'_>, ConfigError> {
        let text = self.text.as_str();
        match self.kind {
            Kind::Text | Kind::Path => Ok(DeValue::String(text.into())),
            Kind::Boolean => match text {
                "true" => Ok(DeValue::Boolean(true)),
                "false" => Ok(DeValue::Boolean(false)),
                _ => Err(self.refused(format!("expected `true` or `false`, found `{text}`"))),
            },
            Kind::Integer => match DeValue::parse(text) {
                Ok(value) if value.get_ref().is_integer() => Ok(value.into_inner()),
                _ => Err(self.refused(format!("expected an integer, found `{text}`"))),
            },
            Kind::Texts | Kind::Paths => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                let items = items.map(|item| Spanned::new(span.clone(), DeValue::String(item.into())));
                Ok(DeValue::Array(items.collect()))
            }
            Kind::Section => Err(self.refused("this is a section; name one of its keys".to_owned())),
            Kind::Sections => Err(self.refused("this key is set in the file only".to_owned())),
        }
    }

    fn refused(&self, message: String) -> ConfigError {
        ConfigError::Refused { origin: Origin::Variable(self.variable.clone()), message }
    }
}

/// Where the secret is that a variable gives. A secret in the environment is where secrets may be: there it is left.
fn reference(variable: &str, value: String) -> Result<String, ConfigError> {
    let meant = ["file:", "env:", "k8s:"].iter().any(|scheme| value.starts_with(scheme));
    match value.parse::<SecretRef>() {
        Ok(_) => Ok(value),
        Err(NotAReference) if !meant => Ok(format!("env:{variable}")),
        Err(error) => Err(ConfigError::Refused {
            origin: Origin::Variable(variable.to_owned()),
            message: error.to_string(),
        }),
    }
}

/// The secrets that are named in a section, each by its key.
fn secrets_of(table: &DeTable<'_>, place: Place<'_>, before: &str, named: &mut Vec<(String, SecretRef)>) {
    for (name, value) in table {
        let name = name.get_ref();
        let Some(place) = place.child(name) else { continue };
        let key = if before.is_empty() { name.to_string() } else { format!("{before}.{name}") };
        match value.get_ref() {
            DeValue::Table(section) => secrets_of(section, place, &key, named),
            DeValue::String(text) if place.is_secret() => {
                named.extend(text.parse().ok().map(|reference| (key, reference)));
            }
            _ => {}
        }
    }
}

/// The key that a variable is named after.
fn key_of(variable: &str) -> String {
    variable[PREFIX.len()..].to_ascii_lowercase().replace("__", ".").replace('_', "-")
}

/// Lays a value over what the file says, and adds the sections it stands in.
fn lay<'d>(table: &mut DeTable<'d>, keys: &[String], value: DeValue<'d>, span: Range<usize>) {
    let (key, rest) = keys.split_first().expect("a key has at least one name");
    let name = Spanned::new(span.clone(), key.clone().into());
    if rest.is_empty() {
        table.remove(key.as_str());
        table.insert(name, Spanned::new(span, value));
        return;
    }
    let section = || Spanned::new(span.clone(), DeValue::Table(DeTable::new()));
    // What is no section in the file is left to be refused there.
    if let DeValue::Table(section) = table.entry(name).or_insert_with(section).get_mut() {
        lay(section, rest, value, span);
    }
}

/// Makes the relative paths of the file relative to its folder.
fn anchor(table: &mut DeTable<'_>, place: Place<'_>, folder: &Path) {
    for (name, value) in table {
        let Some(place) = place.child(name.get_ref()) else { continue };
        match value.get_mut() {
            DeValue::Table(section) => anchor(section, place, folder),
            DeValue::String(path) if place.kind() == Kind::Path => {
                *path = folder.join(&**path).to_string_lossy().into_owned().into();
            }
            DeValue::Array(paths) if place.kind() == Kind::Paths => {
                for path in paths.iter_mut() {
                    if let DeValue::String(path) = path.get_mut() {
                        *path = folder.join(&**path).to_string_lossy().into_owned().into();
                    }
                }
            }
            _ => {}
        }
    }
}

/// Tells where an error stands. The file's text and the variables are one line of positions: the parser counts the
/// text's bytes, and behind them each setting has one position.
struct Positions<'p> {
    file: Option<&'p Path>,
    text: &'p str,
    settings: &'p [Setting],
}

impl Positions<'_> {
    fn span_of_setting(&self, at: usize) -> Range<usize> {
        let start = self.text.len() + 1 + at;
        start..start + 1
    }

    fn refused(&self, error: &Error, message: &str) -> ConfigError {
        let start = error.span().map_or(0, |span| span.start);
        let setting = start.checked_sub(self.text.len() + 1).and_then(|at| self.settings.get(at));
        let origin = match (setting, self.file) {
            (Some(setting), _) => Origin::Variable(setting.variable.clone()),
            (None, Some(path)) => {
                let before = self.text.get(..start).unwrap_or(self.text);
                let line = 1 + before.matches('\n').count();
                Origin::File { path: path.to_owned(), line }
            }
            (None, None) => Origin::Environment,
        };
        ConfigError::Refused { origin, message: message.trim_end().replace('\n', " ") }
    }
}
