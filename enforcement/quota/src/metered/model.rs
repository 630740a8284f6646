//! The protocol of decision 9, over a database reduced to its rows: every order of the steps of two processes, with a
//! crash of a process, a lost answer, a failed statement, one that the server carries out after its process has given up
//! on it, a crash of the machine or a step of the clock before any of them. What a batch does is decided by the same code
//! as in [`SqlQuota`](super::SqlQuota); what one statement does for a whole batch is written down here once more, and
//! must be what one intent after the other comes to.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::ledger::{Account, Held, Intent, Ledger, Sum, Want, decide, latest};
use super::{Bucket, Hold, QuotaError, Settlement};
use crate::Window;

/// A group, and when its holds expire.
type Share = (Arc<str>, i64);
/// The group and the wish of each intent.
type Batch = Vec<(Arc<str>, Want)>;
type Rows = BTreeMap<(Arc<str>, Arc<str>), (u64, i64)>;

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Database {
    accounts: BTreeMap<Arc<str>, (u64, u64)>,
    holds: Rows,
}

/// Where a call is. It costs one unit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Call {
    Asking,
    Running(Share),
    /// Acknowledged, denied, failed, or gone with its process.
    Over,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    /// What a crash of the machine goes back to.
    durable: Database,
    database: Database,
    clock: i64,
    calls: [[Call; CALLS]; PROCESSES],
    /// What each process holds for its next calls.
    kept: [Vec<Share>; PROCESSES],
    /// Statements that a server has and that nobody waits for any more, with whose they are.
    late: Vec<(usize, Batch)>,
    batches: i64,
    acknowledged: u64,
    /// Charges whose outcome nobody was told.
    in_doubt: u64,
    misfortunes: u8,
}

/// How a batch ends, as its process sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Answered,
    AnswerLost,
    Failed,
    /// Given up on, and carried out at any time from now on, or never.
    Late,
}

const PROCESSES: usize = 2;
const CALLS: usize = 2;
const TTL: i64 = 1;
const CLOCKS: i64 = 2;

/// What is the same in a whole exploration.
struct Scenario {
    limit: u64,
    /// What each call of a process asks: of the platform's bucket, and of its tenant's.
    holds: [[Hold; 2]; PROCESSES],
    /// Which calls succeed.
    succeeds: [[bool; CALLS]; PROCESSES],
    /// How many things may go wrong in one history.
    misfortunes: u8,
}

impl Scenario {
    fn new(limit: u64, succeeds: [[bool; CALLS]; PROCESSES]) -> Self {
        let window = Window {
            start: Timestamp::UNIX_EPOCH,
            end: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1),
        };
        let hold = |tenant| Hold { bucket: Bucket::new(tenant, "calls", window), units: 1, limit };
        let holds = ["a", "b"].map(|tenant| [hold(None), hold(Some(tenant))]);
        Self { limit, holds, succeeds, misfortunes: 2 }
    }

    fn start(&self) -> World {
        let accounts: BTreeMap<_, _> =
            self.holds.iter().flatten().map(|hold| (hold.bucket.key.clone(), (0, 0))).collect();
        let database = Database { accounts, holds: Rows::new() };
        World {
            durable: database.clone(),
            database,
            clock: 0,
            calls: [const { [const { Call::Asking }; CALLS] }; PROCESSES],
            kept: [const { Vec::new() }; PROCESSES],
            late: Vec::new(),
            batches: 0,
            acknowledged: 0,
            in_doubt: 0,
            misfortunes: 0,
        }
    }

    /// Every world that can come next.
    fn steps(&self, world: &World) -> Vec<World> {
        let mut next = Vec::new();
        let unlucky = world.misfortunes < self.misfortunes;
        let misfortune = |mut world: World| {
            world.misfortunes += 1;
            world
        };
        for process in 0..PROCESSES {
            for ending in [Ending::Answered, Ending::AnswerLost, Ending::Failed, Ending::Late] {
                let lucky = ending == Ending::Answered;
                if lucky || unlucky {
                    let ended = [
                        self.admit(world, process, ending),
                        self.spend(world, process, 1, ending),
                        self.spend(world, process, CALLS, ending),
                        self.settle(world, process, Settlement::Commit, ending),
                        self.settle(world, process, Settlement::Release, ending),
                        self.give_back(world, process, ending),
                    ];
                    let ended = ended.into_iter().flatten();
                    next.extend(ended.map(|world| if lucky { world } else { misfortune(world) }));
                }
            }
            next.extend(take(world, process));
            if unlucky {
                let mut killed = world.clone();
                killed.calls[process] = [const { Call::Over }; CALLS];
                killed.kept[process].clear();
                next.push(misfortune(killed));
            }
        }
        if unlucky {
            let (database, late) = (world.durable.clone(), Vec::new());
            next.push(misfortune(World { database, late, ..world.clone() }));
        }
        next.extend((0..world.late.len()).map(|place| self.catch_up(world, place)));
        // What is only visible gets to the disk at any time by itself.
        next.push(World { durable: world.database.clone(), ..world.clone() });
        if world.clock < CLOCKS {
            next.push(World { clock: world.clock + 1, ..world.clone() });
        }
        next
    }

    fn admit(&self, world: &World, process: usize, ending: Ending) -> Option<World> {
        let asking: Vec<_> = (0..CALLS).filter(|&call| world.calls[process][call] == Call::Asking).collect();
        if asking.is_empty() {
            return None;
        }
        let holds = &self.holds[process];
        let group: Arc<str> = format!("{process}-{}", world.batches).into();
        let expires_at = expiry(world.clock);
        let want = Want::Reserve { expires_at, now: world.clock };
        let intents: Vec<_> = asking.iter().map(|_| Intent { group: group.clone(), holds, want }).collect();
        let mut next = World { batches: world.batches + 1, ..world.clone() };
        let verdicts = next.transact(process, &intents, ending);
        for (call, verdict) in asking.into_iter().zip(verdicts) {
            next.calls[process][call] = match (verdict, ending) {
                (Ok(()), Ending::Answered) => Call::Running((group.clone(), expires_at)),
                _ => Call::Over,
            };
        }
        Some(next)
    }

    /// For the first calls of a batch other units are charged, if there is room for them, and what they hold is kept.
    fn spend(&self, world: &World, process: usize, kept: usize, ending: Ending) -> Option<World> {
        let (charging, shares) = self.ending(world, process, true)?;
        let kept = shares.get(..kept)?;
        let holds = &self.holds[process];
        let group: Arc<str> = "".into();
        let fresh = |want| Intent { group: group.clone(), holds, want };
        let reserve = Want::Reserve { expires_at: expiry(world.clock), now: world.clock };
        let others = kept.iter().flat_map(|_| [reserve, Want::Settle(Settlement::Commit)]).map(fresh);
        let held = self.settling(process, &shares[kept.len()..], Settlement::Commit);
        let intents: Vec<_> = others.chain(held).collect();
        // Where there is too little room nothing happens, and what is held is charged instead.
        world.database.grant_all(&Sum::of(&intents))?;
        let mut next = world.clone();
        next.transact(process, &intents, ending);
        if ending == Ending::Answered {
            next.acknowledged += charging.len() as u64;
            next.kept[process].extend_from_slice(kept);
        }
        for call in charging {
            next.calls[process][call] = Call::Over;
        }
        Some(next)
    }

    fn settle(&self, world: &World, process: usize, settlement: Settlement, ending: Ending) -> Option<World> {
        let commits = settlement == Settlement::Commit;
        let (settling, shares) = self.ending(world, process, commits)?;
        let mut next = world.clone();
        let verdicts = next.transact(process, &self.settling(process, &shares, settlement), ending);
        for (call, verdict) in settling.into_iter().zip(verdicts) {
            next.acknowledged += u64::from(commits && verdict.is_ok() && ending == Ending::Answered);
            next.calls[process][call] = Call::Over;
        }
        Some(next)
    }

    /// Nobody came for what is kept, or somebody needs the room.
    fn give_back(&self, world: &World, process: usize, ending: Ending) -> Option<World> {
        let mut next = world.clone();
        let shares = std::mem::take(&mut next.kept[process]);
        if shares.is_empty() {
            return None;
        }
        next.transact(process, &self.settling(process, &shares, Settlement::Release), ending);
        Some(next)
    }

    /// The running calls that will end well, or badly, and what they hold.
    fn ending(&self, world: &World, process: usize, well: bool) -> Option<(Vec<usize>, Vec<Share>)> {
        let ending = (0..CALLS).filter(|&call| self.succeeds[process][call] == well);
        let ending = ending.filter_map(|call| match &world.calls[process][call] {
            Call::Running(share) => Some((call, share.clone())),
            Call::Asking | Call::Over => None,
        });
        let (calls, shares): (Vec<_>, _) = ending.unzip();
        (!calls.is_empty()).then_some((calls, shares))
    }

    fn settling(&self, process: usize, shares: &[Share], settlement: Settlement) -> Vec<Intent<'_>> {
        let holds = &self.holds[process];
        let intent =
            |(group, _): &Share| Intent { group: group.clone(), holds, want: Want::Settle(settlement) };
        shares.iter().map(intent).collect()
    }

    /// The server gets to a statement that nobody waits for.
    fn catch_up(&self, world: &World, place: usize) -> World {
        let mut next = world.clone();
        let (process, late) = next.late.remove(place);
        let holds = &self.holds[process];
        let intents: Vec<_> = late.into_iter().map(|(group, want)| Intent { group, holds, want }).collect();
        next.transact(process, &intents, Ending::AnswerLost);
        next
    }

    fn check(&self, world: &World) {
        for database in [&world.database, &world.durable] {
            for (bucket, (used, held)) in &database.accounts {
                assert!(used + held <= self.limit, "(a) more than the limit: {world:#?}");
                let of_it = database.holds.iter().filter(|((_, of), _)| of == bucket);
                assert_eq!(*held, of_it.map(|(_, (units, _))| units).sum::<u64>(), "{world:#?}");
            }
            let used = database.used(&self.holds[0][0].bucket.key);
            let tenants: u64 = self.holds.iter().map(|[_, tenant]| database.used(&tenant.bucket.key)).sum();
            assert_eq!(used, tenants, "both buckets or neither: {world:#?}");
            assert!(used >= world.acknowledged, "(d) an acknowledged success is not charged: {world:#?}");
            let most = world.acknowledged + world.in_doubt;
            assert!(used <= most, "(c) charged, but nobody succeeded: {world:#?}");
        }
        let over = world.calls.iter().flatten().all(|call| *call == Call::Over);
        if over {
            self.check_at_rest(world.clone());
        }
    }

    /// (b) and (e): once everything has expired, exactly what is not used can be had.
    fn check_at_rest(&self, mut world: World) {
        let far = expiry(world.clock) + 1;
        let holds = &self.holds[0];
        let admitted = (0..=self.limit)
            .take_while(|n| {
                let want = Want::Reserve { expires_at: far + TTL, now: far };
                let group = format!("rest-{n}").into();
                world.database.apply(&[Intent { group, holds, want }])[0].is_ok()
            })
            .count() as u64;
        let left = self.limit - world.database.used(&holds[0].bucket.key);
        assert_eq!(admitted, left, "(b) less than the limit: {world:#?}");
    }

    fn explore(&self) -> usize {
        let mut seen = HashSet::from([self.start()]);
        let mut open = vec![self.start()];
        while let Some(world) = open.pop() {
            self.check(&world);
            open.extend(self.steps(&world).into_iter().filter(|next| seen.insert(next.clone())));
        }
        seen.len()
    }
}

/// The first full second in which a reservation made now may expire. A second has two ticks.
const fn expiry(now: i64) -> i64 {
    let expires_at = now + TTL;
    expires_at + expires_at % 2
}

/// A call is admitted by what an earlier one has left, which expires when its own reservation would.
fn take(world: &World, process: usize) -> Option<World> {
    let call = world.calls[process].iter().position(|call| *call == Call::Asking)?;
    let share =
        world.kept[process].last().filter(|(_, expires_at)| *expires_at == expiry(world.clock))?.clone();
    let mut next = world.clone();
    next.kept[process].pop();
    next.calls[process][call] = Call::Running(share);
    Some(next)
}

impl World {
    /// Charges are durable before they are answered. What a batch that nobody got an answer from has charged is in doubt.
    fn transact(
        &mut self,
        process: usize,
        intents: &[Intent<'_>],
        ending: Ending,
    ) -> Vec<Result<(), QuotaError>> {
        let denied = vec![Err(QuotaError::Silent); intents.len()];
        match ending {
            Ending::Failed => return denied,
            Ending::Late => {
                let late = intents.iter().map(|intent| (intent.group.clone(), intent.want));
                self.late.push((process, late.collect()));
                return denied;
            }
            Ending::Answered | Ending::AnswerLost => {}
        }
        let verdicts = self.database.apply(intents);
        if intents.iter().any(|intent| intent.want == Want::Settle(Settlement::Commit)) {
            self.durable = self.database.clone();
            let commits = intents.iter().map(|intent| intent.want == Want::Settle(Settlement::Commit));
            let charged =
                commits.zip(&verdicts).filter(|(commits, verdict)| *commits && verdict.is_ok()).count();
            self.in_doubt += if ending == Ending::AnswerLost { charged as u64 } else { 0 };
        }
        verdicts
    }
}

impl Database {
    fn used(&self, bucket: &Arc<str>) -> u64 {
        self.accounts[bucket].0
    }

    /// What `SqlQuota` does with a batch: in one statement if that will do, else in a transaction under the locks of the
    /// buckets. A statement that will not do changes nothing, so nobody sees whether others came in between.
    fn apply(&mut self, intents: &[Intent<'_>]) -> Vec<Result<(), QuotaError>> {
        let at_once = self.grant_all(&Sum::of(intents));
        let verdicts = self.apply_each(intents);
        if let Some(at_once) = at_once {
            assert!(verdicts.iter().all(Result::is_ok), "granted as a whole, refused one by one");
            assert_eq!(at_once, *self, "as a whole it comes to something else");
        }
        verdicts
    }

    /// What the statement `GRANT_ALL` does.
    fn grant_all(&self, sum: &Sum) -> Option<Self> {
        let mut after = self.clone();
        for (bucket, more_used, more_held, need, limit) in sum.accounts() {
            let (used, held) = after.accounts.get_mut(bucket)?;
            limit.checked_sub(*used + *held + need)?;
            *used = used.checked_add_signed(more_used)?;
            *held = held.checked_add_signed(more_held)?;
        }
        for (group, bucket, more, expires_at) in sum.holds() {
            let place = (group.into(), bucket.into());
            let (before, expires_at) = after.holds.remove(&place).unwrap_or((0, expires_at));
            let units = before.checked_add_signed(more)?;
            if units > 0 {
                after.holds.insert(place, (units, expires_at));
            }
        }
        Some(after)
    }

    /// What `SqlQuota::apply_each` does.
    fn apply_each(&mut self, intents: &[Intent<'_>]) -> Vec<Result<(), QuotaError>> {
        let mut ledger = Ledger::default();
        for (bucket, &(used, held)) in &self.accounts {
            ledger.load_account(bucket.clone(), Account { used, held });
        }
        self.load(&mut ledger, |group, _| intents.iter().any(|intent| intent.group == *group));
        let (mut after, mut verdicts) = decide(&ledger, intents);
        if let Some(latest) = latest(intents, &verdicts) {
            self.load(&mut ledger, |_, expires_at| expires_at <= latest);
            (after, verdicts) = decide(&ledger, intents);
        }
        for (bucket, Account { used, held }) in after.changed_accounts() {
            self.accounts.insert(bucket.into(), (used, held));
        }
        for (group, bucket, Held { units, expires_at }) in after.changed_holds() {
            self.holds.insert((group.into(), bucket.into()), (units, expires_at));
        }
        for (group, bucket) in after.ended_holds() {
            self.holds.remove(&(group.into(), bucket.into()));
        }
        verdicts
    }

    fn load(&self, ledger: &mut Ledger, wanted: impl Fn(&Arc<str>, i64) -> bool) {
        for ((group, bucket), &(units, expires_at)) in &self.holds {
            if wanted(group, expires_at) {
                ledger.load_hold(group.clone(), bucket.clone(), Held { units, expires_at });
            }
        }
    }
}

/// The laws of semantics 5.4, in every world that two processes can get into.
#[test]
fn no_order_of_steps_and_crashes_breaks_a_law() {
    let mut worlds = 0;
    for limit in 0..=4 {
        for [a, b] in [[[true, true], [true, true]], [[true, false], [true, true]], [[true, false]; 2]] {
            worlds += Scenario::new(limit, [a, b]).explore();
        }
    }
    assert!(worlds > 10_000, "only {worlds} worlds were seen");
}
