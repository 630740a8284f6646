use askama::{Template, filters::HtmlSafe};

use crate::answers::Tone;

/// What a whole is made of.
#[derive(Template)]
#[template(path = "pictures/shares.html")]
pub(crate) struct Shares {
    pub(crate) title: &'static str,
    pub(crate) shares: Vec<Share>,
}

pub(crate) struct Share {
    pub(crate) name: &'static str,
    pub(crate) tone: Tone,
    pub(crate) count: usize,
}

struct Bar {
    tone: Tone,
    x: String,
    width: String,
}

impl HtmlSafe for Shares {}

impl Shares {
    fn bars(&self) -> Vec<Bar> {
        let total: usize = self.shares.iter().map(|share| share.count).sum();
        let mut before = 0;
        let mut bars = Vec::new();
        for share in self.shares.iter().filter(|share| share.count > 0) {
            bars.push(Bar { tone: share.tone, x: of(before, total), width: of(share.count, total) });
            before += share.count;
        }
        bars
    }
}

fn of(count: usize, total: usize) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a picture needs no more than 52 bits")]
    let share = count as f64 / total.max(1) as f64;
    format!("{:.2}", share * 100.0)
}
