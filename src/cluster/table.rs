//! Who wants to hear which channel, and what of that Redis knows by now.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};

/// Called with every payload, on the task that reads from Redis: it may hand over, not wait.
pub type Sink = Arc<dyn Fn(&[u8]) + Send + Sync>;

#[derive(Default)]
pub struct Table {
    state: Mutex<State>,
    changed: Notify,
    confirmed: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    /// With the version each came in.
    sinks: HashMap<String, (u64, Sink)>,
    /// Channels that came or went since the last look.
    touched: BTreeSet<String>,
    version: u64,
}

/// What Redis is to be told.
pub struct Changes {
    pub add: Vec<String>,
    pub remove: Vec<String>,
    /// Reached once it is told.
    pub version: u64,
}

/// Channels heard until this is dropped.
pub struct Registration {
    table: Arc<Table>,
    names: Vec<String>,
    version: u64,
}

impl Registration {
    pub fn version(&self) -> u64 {
        self.version
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.table.remove(&self.names, self.version);
    }
}

impl Table {
    /// A channel has one sink: the newest.
    pub fn add(self: &Arc<Self>, sinks: Vec<(String, Sink)>) -> Registration {
        let names: Vec<String> = sinks.iter().map(|(name, _)| name.clone()).collect();
        let mut state = self.lock();
        state.version += 1;
        let version = state.version;
        let mut former = Vec::new();
        for (name, sink) in sinks {
            state.touched.insert(name.clone());
            former.extend(state.sinks.insert(name, (version, sink)));
        }
        drop(state);
        // Unlocked, because a sink may hold the last handle to a registration.
        drop(former);
        self.changed.notify_one();
        Registration { table: self.clone(), names, version }
    }

    fn remove(&self, names: &[String], version: u64) {
        let mut state = self.lock();
        let mut former = Vec::new();
        for name in names {
            if state.sinks.get(name).is_some_and(|(v, _)| *v == version) {
                former.extend(state.sinks.remove(name));
                state.touched.insert(name.clone());
            }
        }
        state.version += 1;
        drop(state);
        drop(former);
        self.changed.notify_one();
    }

    pub fn sink(&self, channel: &str) -> Option<Sink> {
        self.lock().sinks.get(channel).map(|(_, sink)| sink.clone())
    }

    /// Redis knows nothing any more.
    pub fn start_over(&self) {
        let mut state = self.lock();
        state.touched = state.sinks.keys().cloned().collect();
    }

    pub fn take_changes(&self) -> Changes {
        let mut state = self.lock();
        let touched = std::mem::take(&mut state.touched);
        let (add, remove) = touched.into_iter().partition(|name| state.sinks.contains_key(name));
        Changes { add, remove, version: state.version }
    }

    pub fn version(&self) -> u64 {
        self.lock().version
    }

    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    pub fn confirm(&self, version: u64) {
        self.confirmed.send_if_modified(|v| std::mem::replace(v, version) != version);
    }

    pub async fn confirmed(&self, version: u64) {
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = self.confirmed.subscribe().wait_for(|v| *v >= version).await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn sink(heard: &Arc<AtomicUsize>) -> Sink {
        let heard = heard.clone();
        Arc::new(move |payload| {
            heard.fetch_add(payload.len(), Ordering::Relaxed);
        })
    }

    #[test]
    fn changes_are_told_once_and_again_after_a_new_start() {
        let (table, heard) = (Arc::new(Table::default()), Arc::default());
        let first = table.add(vec![("a".into(), sink(&heard)), ("b".into(), sink(&heard))]);
        let changes = table.take_changes();
        assert_eq!(
            (changes.add, changes.remove, changes.version),
            (vec!["a".into(), "b".into()], vec![], first.version())
        );
        assert!(table.take_changes().add.is_empty());
        table.start_over();
        assert_eq!(table.take_changes().add.len(), 2);
        drop(first);
        let changes = table.take_changes();
        assert_eq!((changes.add.len(), changes.remove.len()), (0, 2));
        assert!(table.sink("a").is_none());
    }

    #[test]
    fn the_newest_registration_hears_and_outlives_the_former() {
        let (table, old, new) = (Arc::new(Table::default()), Arc::default(), Arc::<AtomicUsize>::default());
        let former = table.add(vec![("a".into(), sink(&old))]);
        let _latter = table.add(vec![("a".into(), sink(&new))]);
        drop(former);
        table.sink("a").unwrap()(b"x");
        assert_eq!((old.load(Ordering::Relaxed), new.load(Ordering::Relaxed)), (0, 1));
        assert_eq!(table.take_changes().add, ["a"]);
    }

    #[test]
    fn a_sink_may_own_another_registration() {
        let table = Arc::new(Table::default());
        let inner = table.add(vec![("a".into(), sink(&Arc::default()))]);
        let outer = table.add(vec![("b".into(), Arc::new(move |_| assert!(inner.version() > 0)))]);
        drop(outer);
        assert!(table.sink("a").is_none() && table.sink("b").is_none());
    }

    #[tokio::test]
    async fn confirmation_reaches_who_waits() {
        let table = Arc::new(Table::default());
        let registration = table.add(vec![("a".into(), sink(&Arc::default()))]);
        let waiting = tokio::spawn({
            let (table, version) = (table.clone(), registration.version());
            async move { table.confirmed(version).await }
        });
        table.confirm(table.take_changes().version);
        waiting.await.unwrap();
    }
}
