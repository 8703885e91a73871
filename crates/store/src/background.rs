use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A task that goes on until it is stopped, or this is dropped.
#[derive(Debug)]
pub(crate) struct Background {
    end: CancellationToken,
    task: TaskTracker,
}

impl Background {
    /// Starts it.
    pub(crate) fn start(task: impl Future<Output = ()> + Send + 'static) -> Self {
        let background = Self {
            end: CancellationToken::new(),
            task: TaskTracker::new(),
        };
        let end = background.end.clone();
        background.task.spawn(async move {
            end.run_until_cancelled(task).await;
        });
        background.task.close();
        background
    }

    /// Ends it, and waits for what it has to be let go of.
    pub(crate) async fn stop(&self) {
        self.end.cancel();
        self.task.wait().await;
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.end.cancel();
    }
}
