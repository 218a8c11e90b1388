//! Where hyper's HTTP/2 runs its tasks: on the `LocalSet` of whoever asks.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use tokio::task::spawn_local;

/// Runs the tasks of HTTP/2 connections, and counts them. They end by themselves
/// when their connection does.
#[derive(Clone, Debug, Default)]
pub struct LocalTasks(Rc<Count>);

#[derive(Debug, Default)]
struct Count {
    begun: Cell<u64>,
    running: Cell<u64>,
}

impl LocalTasks {
    /// How many tasks have begun.
    pub(crate) fn begun(&self) -> u64 {
        self.0.begun.get()
    }

    /// How many tasks have not ended.
    pub(crate) fn running(&self) -> u64 {
        self.0.running.get()
    }
}

/// A task that is counted until it ends or is dropped.
struct Running(Rc<Count>);

impl Running {
    fn new(count: &Rc<Count>) -> Running {
        count.begun.set(count.begun.get() + 1);
        count.running.set(count.running.get() + 1);
        Running(Rc::clone(count))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.set(self.0.running.get() - 1);
    }
}

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalTasks {
    fn execute(&self, task: F) {
        let running = Running::new(&self.0);
        // On the heap, because hyper's tasks are large and are moved on the way.
        let task = Box::pin(task);
        spawn_local(async move {
            task.await;
            drop(running);
        });
    }
}
