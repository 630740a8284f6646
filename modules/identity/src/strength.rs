//! Which passwords are taken (NIST SP 800-63B-4, section 3.1.1.2): long ones that are not common, not derived from what an
//! attacker knows of their owner, and of whatever composition.

use zxcvbn::{Score, zxcvbn};

use crate::{Secret, operator::Operator};

/// The shortest password that is taken, in characters: what NIST asks where it may be the only factor.
pub const MIN_PASSWORD_CHARACTERS: usize = 15;

/// The product, which attackers try first.
const PRODUCT: &str = "chancery";

/// So many letters and digits are left once what is known of the owner is taken away.
const BESIDE_KNOWN: usize = 8;

/// Why a password is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Objection {
    /// It is short.
    #[error("a password has at least {MIN_PASSWORD_CHARACTERS} characters")]
    TooShort,
    /// It is among the first that are tried on anybody: a common one, or made of common words, names, dates, rows of keys
    /// and repetitions.
    #[error(
        "this password is among the first that are tried; take several words that do not belong together"
    )]
    Common,
    /// It is among the first that are tried on this operator: made of their name, address or of the product's name.
    #[error("a password is not made of one's name or address, or of the product's name")]
    Personal,
}

impl Objection {
    /// A stable code in `snake_case`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooShort => "password_too_short",
            Self::Common => "password_too_common",
            Self::Personal => "password_too_personal",
        }
    }
}

/// Why this operator's password is not taken; nothing, where it is.
pub(crate) fn objection(password: &Secret, owner: &Operator) -> Option<Objection> {
    let text = password.expose();
    if text.chars().count() < MIN_PASSWORD_CHARACTERS {
        return Some(Objection::TooShort);
    }
    // A hundred million guesses find what scores less.
    let is_guessed = |known: &[&str]| zxcvbn(text, known).score() < Score::Three;
    if is_guessed(&[]) {
        return Some(Objection::Common);
    }
    let stated = [Some(owner.name.as_str()), owner.email.as_deref(), owner.display_name.as_deref()];
    let stated = stated.into_iter().flatten();
    let parts = stated.clone().flat_map(|text| text.split(|letter: char| !letter.is_alphanumeric()));
    // Shorter parts are in every second word.
    let known: Vec<&str> = stated.chain(parts).filter(|part| part.len() > 2).chain([PRODUCT]).collect();
    let rests_on_them = beside(text, &known) < BESIDE_KNOWN;
    (rests_on_them || is_guessed(&known)).then_some(Objection::Personal)
}

/// How many letters and digits there are beside these words.
fn beside(text: &str, words: &[&str]) -> usize {
    let rest = words.iter().fold(text.to_lowercase(), |text, word| text.replace(&word.to_lowercase(), " "));
    rest.chars().filter(|letter| letter.is_alphanumeric()).count()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use sdk::prelude::*;

    use super::*;
    use crate::{OperatorStatus, Role};

    fn of_ada(password: &str) -> Option<Objection> {
        let ada = Operator {
            name: "ada.lovelace".to_owned(),
            email: Some("ada@engines.example".to_owned()),
            display_name: Some("Countess of Lovelace".to_owned()),
            role: Role::PlatformAdmin,
            home: TenantId(uuid::Uuid::nil()),
            status: OperatorStatus::Invited,
            second_factor: false,
            created_at: Timestamp::UNIX_EPOCH,
        };
        objection(&password.into(), &ada)
    }

    #[test]
    fn what_is_tried_first_is_not_taken_and_what_is_long_is() {
        for (password, objection) in [
            ("tr0ub4dor&3", Some(Objection::TooShort)),
            ("пароль из слов", Some(Objection::TooShort)),
            ("password1234567", Some(Objection::Common)),
            ("P@ssw0rdP@ssw0rd", Some(Objection::Common)),
            ("qwertyuiopasdfghjkl", Some(Objection::Common)),
            ("aaaaaaaaaaaaaaaaaaaa", Some(Objection::Common)),
            ("123456789012345678", Some(Objection::Common)),
            ("ada.lovelace-2026", Some(Objection::Personal)),
            ("chancery-chancery", Some(Objection::Personal)),
            ("engines.example1", Some(Objection::Personal)),
            ("correct horse battery", None),
            ("пароль из многих слов", None),
            ("another long password", None),
        ] {
            assert_eq!(of_ada(password), objection, "{password}");
        }
    }

    #[test]
    fn the_longest_password_is_judged_at_once() {
        assert!(of_ada(&"a1b2c3 x".repeat(128)).is_none());
    }
}
