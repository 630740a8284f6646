//! What a lone caller pays, beside one commit.

use std::time::Duration;

use chancery_benches::{Figure, Goal};
use kit::{Cluster, Database};
use store::{Cause, Durability, Store, sqlx};

use crate::{AMPLE, charge, clock, on, open, runtime, spend};

const CALLS: usize = 600;

/// Answers what has a goal.
pub(crate) fn run() -> Vec<Figure> {
    println!("### A lone caller\n");
    println!(
        "Median milliseconds of {CALLS} calls, reserve *and* commit, each beside one commit in turns: a single `UPDATE` of \
         one row by its key,\nprepared, in one round trip on a connection that is kept, durable. Calls in a row are admitted \
         by what the one before holds, but for one\na second. A call by itself reserves by a statement that is visible, and \
         commits by one that is durable; two such `UPDATE`s are the least\nthat could do that.\n"
    );
    println!("| | one commit | a call in a row | times | by itself | times | the least | times |");
    println!("|---|--:|--:|--:|--:|--:|--:|--:|");
    let cluster = Cluster::durable();
    let sqlite = Database::sqlite();
    let judged = [("PostgreSQL", cluster.url()), ("SQLite", sqlite.url())].map(|(name, url)| {
        let [row, single, commit, visible] = runtime().block_on(measure(url.to_owned()));
        print!("| {name} | {:.3} |", commit * 1e3);
        for call in [row, single, visible + commit] {
            print!(" {:.3} | {:.2} |", call * 1e3, call / commit);
        }
        println!();
        let case = format!("a lone caller on {name}, beside one commit");
        let figure =
            Figure::new("quota, a lone caller", &case, "times", row / commit).goal(Goal::AtMost(1.5));
        figure.tell();
        figure
    });
    println!();
    judged.into()
}

/// A call in a row, one by itself, a commit, and one that is only visible. All in a task, as in a server: whoever blocks
/// outside on the runtime pays for waking another thread.
async fn measure(url: String) -> [f64; 4] {
    let calling = tokio::spawn(async move {
        let store = open(&url).await;
        prepare(&store).await;
        let quota = on(store.clone());
        let mut lanes = [Durability::Full, Durability::Relaxed].map(|durability| store.lane(durability, ""));
        let mut took = [(); 4].map(|()| Vec::with_capacity(CALLS));
        for n in 0..CALLS {
            // Nobody has asked under this limit before, so nobody has left it anything.
            for (charge, took) in
                [charge("lone", AMPLE), charge("lone", AMPLE - n as u64 - 1)].into_iter().zip(&mut took)
            {
                let start = clock();
                spend(&quota, charge).await;
                took.push(start.elapsed());
            }
            for (lane, took) in lanes.iter_mut().zip(&mut took[2..]) {
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
