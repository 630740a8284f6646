//! Admitted minus limit, over many trials: callers of several tasks and processes want more than there is.
//!
//! Two tenants share the platform's limit; each may use three fifths of it. Every fifth admitted call fails and gives its
//! unit back. When all callers have been denied, one more asks for both tenants until it is denied too: then exactly the
//! limit must be used.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use chancery_benches::{Figure, Goal};
use kit::{Cluster, Database};
use quota::{Charge, MemoryQuota, MeteredStore, QuotaError, TenantShare};

#[cfg(feature = "peers")]
use crate::limiters;
use crate::{NOW, TTL, charge, clock, on, open, runtime};

const BUDGET: Duration = Duration::from_millis(1_500);
const LIMITS: [u64; 3] = [1, 10, 1_000];
const TASKS: [usize; 3] = [2, 8, 32];
const PROCESSES: usize = 3;

/// Something that admits calls of a tenant.
pub(crate) trait Admits: Send + Sync + 'static {
    /// Whether a call was admitted and, unless it fails, charged.
    fn call(&self, tenant: usize, fails: bool) -> impl Future<Output = bool> + Send;
    /// Whether a failing call gives its unit back.
    const GIVES_BACK: bool;
}

/// Answers how far each of ours was from a limit at worst.
pub(crate) fn run() -> Vec<Figure> {
    println!("### Exactness\n");
    println!(
        "Units admitted minus the limit, in the worst of all trials in {} ms a cell. Two tenants share the platform's \
         limit\nand may use three fifths of it each; every fifth call fails (not with the peers, which cannot give back). \
         When all are\ndenied, one more caller asks until it is denied too. Ours must then have admitted exactly the \
         limit.\n",
        BUDGET.as_millis()
    );
    println!(
        "| | limit | tasks | processes | trials | most over | most under |\n|---|--:|--:|--:|--:|--:|--:|"
    );
    let cluster = Cluster::start();
    let sqlite = Database::sqlite();
    let mut worst = BTreeMap::<&str, Tally>::new();
    let mut note = |name, tally: Tally| worst.entry(name).or_default().add(&tally);
    for limit in LIMITS {
        for tasks in TASKS {
            let memory: Arc<dyn MeteredStore> = Arc::new(MemoryQuota::new());
            let ours = |trial| Ours { store: memory.clone(), trial, limit };
            note("ours, memory", in_process("ours, memory", limit, tasks, ours));
            #[cfg(feature = "peers")]
            {
                let limitador = |_| limiters::Limitador::new(limit, share(limit));
                note("limitador, memory", in_process("limitador, memory", limit, tasks, limitador));
                let governor = |_| limiters::Governor::new(limit, share(limit));
                note("governor", in_process("governor", limit, tasks, governor));
            }
            for (name, url) in [("ours, SQLite", sqlite.url()), ("ours, PostgreSQL", cluster.url())] {
                drop(runtime().block_on(open(url)));
                for processes in [1, PROCESSES] {
                    note(name, in_processes(name, url, limit, tasks, processes));
                }
            }
        }
    }
    println!();
    let told = worst.iter().flat_map(|(name, tally)| tally.figures(name));
    let (ours, peers): (Vec<_>, Vec<_>) = told.partition(|figure| figure.goal.is_some());
    ours.iter().chain(&peers).for_each(Figure::tell);
    ours
}

pub(crate) fn share(limit: u64) -> u64 {
    (limit * 3).div_ceil(5)
}

struct Ours {
    store: Arc<dyn MeteredStore>,
    trial: u64,
    limit: u64,
}

impl Admits for Ours {
    const GIVES_BACK: bool = true;

    async fn call(&self, tenant: usize, fails: bool) -> bool {
        let quota = format!("trial-{}", self.trial);
        let id = format!("tenant-{tenant}");
        let charge = Charge {
            quota: &quota,
            tenant: Some(TenantShare { id: &id, limit: share(self.limit) }),
            ..charge(&id, self.limit)
        };
        match self.store.reserve(&[charge], TTL, NOW).await {
            Ok(reserved) if fails => {
                reserved.release().await.expect("it is held");
                true
            }
            Ok(reserved) => {
                reserved.commit().await.expect("it is held");
                true
            }
            Err(QuotaError::Exhausted(_)) => false,
            Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
        }
    }
}

/// Calls until every task is denied; how many succeeded.
async fn contend<A: Admits>(admits: &Arc<A>, tasks: usize) -> u64 {
    let calling: Vec<_> = (0..tasks)
        .map(|task| {
            let admits = admits.clone();
            tokio::spawn(async move {
                let (mut succeeded, mut calls) = (0, task);
                loop {
                    calls += 1;
                    let fails = A::GIVES_BACK && calls.is_multiple_of(5);
                    if !admits.call(task % 2, fails).await {
                        return succeeded;
                    }
                    succeeded += u64::from(!fails);
                }
            })
        })
        .collect();
    let mut succeeded = 0;
    for task in calling {
        succeeded += task.await.expect("no caller fails");
    }
    succeeded
}

/// One caller, until it is denied for both tenants.
async fn fill<A: Admits>(admits: &A) -> u64 {
    let mut succeeded = 0;
    for tenant in [0, 1] {
        while admits.call(tenant, false).await {
            succeeded += 1;
        }
    }
    succeeded
}

#[derive(Default)]
struct Tally {
    trials: u64,
    over: u64,
    under: u64,
}

impl Tally {
    fn count(&mut self, succeeded: u64, limit: u64) {
        self.add(&Self {
            trials: 1,
            over: succeeded.saturating_sub(limit),
            under: limit.saturating_sub(succeeded),
        });
    }

    fn add(&mut self, other: &Self) {
        self.trials += other.trials;
        self.over = self.over.max(other.over);
        self.under = self.under.max(other.under);
    }

    fn print(&self, name: &str, limit: u64, tasks: usize, processes: usize) {
        let Self { trials, over, under } = self;
        println!("| {name} | {limit} | {tasks} | {processes} | {trials} | {over} | {under} |");
    }

    /// Peers have no goal.
    fn figures(&self, name: &str) -> [Figure; 2] {
        let Self { trials, over, under } = self;
        [("beyond", over), ("below", under)].map(|(what, units)| {
            let case = format!("{name}: {what} the limit, the worst of {trials} trials");
            #[expect(clippy::cast_precision_loss, reason = "a small number")]
            let figure = Figure::new("quota, exactness", &case, "units", *units as f64);
            if name.starts_with("ours") { figure.goal(Goal::AtMost(0.0)) } else { figure }
        })
    }
}

fn in_process<A: Admits>(name: &str, limit: u64, tasks: usize, fresh: impl Fn(u64) -> A) -> Tally {
    let mut tally = Tally::default();
    runtime().block_on(async {
        let start = clock();
        while start.elapsed() < BUDGET {
            let admits = Arc::new(fresh(tally.trials));
            let succeeded = contend(&admits, tasks).await + fill(&*admits).await;
            tally.count(succeeded, limit);
        }
    });
    tally.print(name, limit, tasks, 1);
    tally
}

/// Trials have numbers of their own in a cell, and cells in a database.
fn in_processes(name: &str, url: &str, limit: u64, tasks: usize, processes: usize) -> Tally {
    let mut workers: Vec<_> = (0..processes).map(|_| Worker::start(url, limit, tasks)).collect();
    let mut tally = Tally::default();
    runtime().block_on(async {
        let store = Arc::new(on(open(url).await));
        let start = clock();
        while start.elapsed() < BUDGET {
            let trial = (((limit * 100 + tasks as u64) * 10) + processes as u64) * 1_000_000 + tally.trials;
            for worker in &mut workers {
                writeln!(worker.orders, "{trial}").expect("the worker listens");
            }
            let mut succeeded: u64 = workers.iter_mut().map(Worker::answer).sum();
            succeeded += fill(&Ours { store: store.clone(), trial, limit }).await;
            tally.count(succeeded, limit);
        }
    });
    tally.print(name, limit, tasks, processes);
    tally
}

struct Worker {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    fn start(url: &str, limit: u64, tasks: usize) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["worker", url, &limit.to_string(), &tasks.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start a worker");
        let orders = child.stdin.take().expect("stdin is piped");
        let answers = BufReader::new(child.stdout.take().expect("stdout is piped"));
        Self { child, orders, answers }
    }

    fn answer(&mut self) -> u64 {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the worker answers");
        line.trim().parse().expect("a number")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// One more process: it contends in every trial whose number it reads, and writes how many calls succeeded.
pub(crate) fn worker(arguments: &[String]) {
    let [url, limit, tasks] = arguments else { panic!("worker URL LIMIT TASKS") };
    let limit = limit.parse().expect("a limit");
    let tasks = tasks.parse().expect("a number of tasks");
    runtime().block_on(async {
        let store: Arc<dyn MeteredStore> = Arc::new(on(open(url).await));
        for trial in std::io::stdin().lines() {
            let trial = trial.expect("a line").parse().expect("a number");
            println!("{}", contend(&Arc::new(Ours { store: store.clone(), trial, limit }), tasks).await);
        }
    });
}
