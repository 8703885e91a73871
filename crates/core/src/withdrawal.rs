use std::{fmt, future::Future, pin::Pin, sync::Arc};

/// Completes when a credential is withdrawn before its end, as a revoked key is. Whatever is open on it ends then: an
/// answer that is under way breaks off, a call that waits is cancelled.
///
/// Clones are the same one.
#[derive(Clone)]
pub struct Withdrawal(Arc<Wait>);

type Wait = dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync;

impl Withdrawal {
    /// `wait` makes a future that completes once the credential is withdrawn, at once where it is already.
    #[must_use]
    pub fn new<F>(wait: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(wait())))
    }

    /// Completes once the credential is withdrawn.
    #[must_use]
    pub fn wait(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        (self.0)()
    }
}

/// Two are alike only if they are the same one.
impl PartialEq for Withdrawal {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Withdrawal {}

impl fmt::Debug for Withdrawal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Withdrawal")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_withdrawal_can_be_waited_for_more_than_once() {
        let withdrawal = Withdrawal::new(|| async {});
        let same = withdrawal.clone();
        withdrawal.wait().await;
        same.wait().await;
        assert_eq!(withdrawal, same);
        assert_ne!(withdrawal, Withdrawal::new(|| async {}));
    }
}
