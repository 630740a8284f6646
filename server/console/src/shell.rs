//! What is around every page: its title, the way to the others, who is signed in.

use crate::{
    assets,
    visitor::{Theme, Visitor},
};

/// What a page hands to the layout.
pub(crate) struct Shell {
    pub(crate) title: String,
    pub(crate) here: Nav,
    /// The way to every page.
    pub(crate) groups: &'static [Group],
    /// As the audit shows whoever is signed in.
    pub(crate) operator: Option<String>,
    pub(crate) csrf: String,
    pub(crate) theme: Theme,
    /// This page, to come back to.
    pub(crate) path: String,
    /// What was just done.
    pub(crate) done: Option<&'static str>,
    pub(crate) version: u32,
}

/// A place in the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nav {
    None,
    Home,
    License,
    Coverage,
    Commands,
    Tenants,
    Signups,
    Onboarding,
    Audit,
    Account,
}

pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) places: &'static [(Nav, &'static str, &'static str)],
}

const GROUPS: &[Group] = &[
    Group {
        name: "Platform",
        places: &[
            (Nav::Home, "/console", "Home"),
            (Nav::License, "/console/license", "License"),
            (Nav::Commands, "/console/commands", "Commands"),
            (Nav::Coverage, "/console/coverage", "Coverage"),
        ],
    },
    Group {
        name: "Customers",
        places: &[
            (Nav::Tenants, "/console/tenants", "Tenants"),
            (Nav::Signups, "/console/signups", "Signups"),
            (Nav::Onboarding, "/console/onboarding", "Onboarding"),
        ],
    },
    Group {
        name: "Record",
        places: &[(Nav::Audit, "/console/audit", "Audit"), (Nav::Account, "/console/account", "Account")],
    },
];

impl Shell {
    pub(crate) fn of(visitor: &Visitor, title: impl Into<String>, here: Nav) -> Self {
        let query = crate::form::Fields::of_query(visitor.uri.query());
        Self {
            title: title.into(),
            here,
            groups: GROUPS,
            operator: visitor.who().map(|who| who.id.trim_start_matches("operator:").to_owned()),
            csrf: visitor.csrf.clone(),
            theme: visitor.theme,
            path: visitor.uri.path_and_query().map_or_else(|| "/console".to_owned(), ToString::to_string),
            done: done(query.text("done")),
            version: assets::VERSION,
        }
    }

    pub(crate) fn is_here(&self, place: &Nav) -> bool {
        self.here == *place
    }
}

/// What a redirect says was done. Its parameter is a word of this table, so that nobody can write on our pages by a link.
fn done(word: &str) -> Option<&'static str> {
    Some(match word {
        "tenant-created" => "The tenant was created.",
        "tenant-changed" => "The tenant was changed.",
        "tenant-removed" => "The tenant was removed.",
        "domain-added" => "The domain was added. Publish its DNS record, then verify it.",
        "domain-verified" => "The domain was verified.",
        "domain-changed" => "The domain was changed.",
        "domain-removed" => "The domain was removed.",
        "subscription-set" => "The subscription was changed. It applies at once.",
        "baseline-set" => "The baseline was changed. It applies at once.",
        "license-installed" => "The license was installed, on every replica.",
        "license-uninstalled" => "The installed license was taken away.",
        "signup-approved" => "The request was approved and the tenant registered.",
        "signup-rejected" => "The request was rejected.",
        "onboarding-set" => "The onboarding policy was changed.",
        "password-changed" => "Your password was changed.",
        "factor-added" => "The second factor was added.",
        "factor-removed" => "The second factor was removed.",
        "session-ended" => "The session was ended.",
        "token-revoked" => "The token was revoked.",
        "operator-changed" => "The operator was changed.",
        "signed-out" => "You are signed out.",
        "activated" => "Your password is set. Sign in with it.",
        _ => return None,
    })
}
