//! A service that can be replaced while it is served: requests that are under way end with the one
//! that took them.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use arc_swap::ArcSwap;
use tower::{Service, ServiceExt, util::Oneshot};

/// The service in force. Clones mean the same one.
#[derive(Debug)]
pub struct Replaceable<S>(Arc<ArcSwap<S>>);

impl<S> Replaceable<S> {
    /// Begins with this one.
    pub fn new(service: S) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(service)))
    }

    /// Hands requests to this one from now on.
    pub fn replace(&self, service: S) {
        self.0.store(Arc::new(service));
    }
}

impl<S> Clone for Replaceable<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S, R> Service<R> for Replaceable<S>
where
    S: Service<R, Error = Infallible> + Clone,
{
    type Response = S::Response;
    type Error = Infallible;
    type Future = Oneshot<S, R>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // The one that takes the request is asked by `oneshot`.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        S::clone(&self.0.load()).oneshot(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_new_one_takes_what_comes_and_the_old_one_ends_what_it_has() {
        let make = |name: &'static str| {
            tower::util::BoxCloneSyncService::new(tower::service_fn(move |(): ()| async move {
                tokio::task::yield_now().await;
                Ok::<_, Infallible>(name)
            }))
        };
        let mut service = Replaceable::new(make("old"));
        let under_way = service.call(());
        service.clone().replace(make("new"));
        assert_eq!(under_way.await, Ok("old"));
        assert_eq!(service.call(()).await, Ok("new"));
    }
}
