//! What a lone caller pays, beside one commit.

use std::time::Duration;

use chancery_benches::{Figure, Goal};
use kit::{Cluster, Database};
use store::{Cause, Durability, Store, sqlx};

use crate::{clock, on, open, runtime, spend};

const CALLS: usize = 600;

/// Answers what has a goal.
pub(crate) fn run() -> Vec<Figure> {
    println!("### A lone caller\n");
    println!(
        "Median milliseconds of {CALLS} calls, each beside one commit in turns: a single `UPDATE` of one row by its key, \
         prepared, in one\nround trip on a connection that is kept, durable. Ours is reserve *and* commit: a statement \
         that is visible, and one that is durable.\nThe least that could do that is such an `UPDATE`, visible only, and \
         another, durable.\n"
    );
    println!("| | a call | one commit | times | the least | times |\n|---|--:|--:|--:|--:|--:|");
    let cluster = Cluster::durable();
    let sqlite = Database::sqlite();
    let judged = [("PostgreSQL", cluster.url()), ("SQLite", sqlite.url())].map(|(name, url)| {
        let [call, commit, visible] = runtime().block_on(measure(url.to_owned()));
        let (times, least) = (call / commit, visible + commit);
        println!(
            "| {name} | {:.3} | {:.3} | {times:.2} | {:.3} | {:.2} |",
            call * 1e3,
            commit * 1e3,
            least * 1e3,
            least / commit
        );
        let case = format!("a lone caller on {name}, beside one commit");
        let figure = Figure::new("quota, a lone caller", &case, "times", times).goal(Goal::AtMost(1.5));
        figure.tell();
        figure
    });
    println!();
    judged.into()
}

/// A call, a commit, and one that is only visible. All in a task, as in a server: whoever blocks outside on the runtime pays
/// for waking another thread.
async fn measure(url: String) -> [f64; 3] {
    let calling = tokio::spawn(async move {
        let store = open(&url).await;
        prepare(&store).await;
        let quota = on(store.clone());
        let mut lanes = [Durability::Full, Durability::Relaxed].map(|durability| store.lane(durability, ""));
        let mut took = [(); 3].map(|()| Vec::with_capacity(CALLS));
        for _ in 0..CALLS {
            let start = clock();
            spend(&quota, "lone").await;
            took[0].push(start.elapsed());
            for (lane, took) in lanes.iter_mut().zip(&mut took[1..]) {
                let start = clock();
                let update = sqlx::query("UPDATE lone SET n = n + 1 WHERE id = 1");
                lane.fetch_all(update).await.expect("it commits");
                took.push(start.elapsed());
            }
        }
        took.map(median)
    });
    calling.await.expect("a caller who does not fail")
}

async fn prepare(store: &Store) {
    let mut work = store.begin().await.expect("begin");
    for statement in
        ["CREATE TABLE lone (id BIGINT PRIMARY KEY, n BIGINT NOT NULL)", "INSERT INTO lone VALUES (1, 0)"]
    {
        sqlx::query(statement).execute(&mut *work).await.expect("a row");
    }
    work.commit(Cause::Upkeep).await.expect("commit");
}

fn median(mut of: Vec<Duration>) -> f64 {
    of.sort_unstable();
    of[of.len() / 2].as_secs_f64()
}
