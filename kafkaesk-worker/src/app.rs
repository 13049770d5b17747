//! The application: collects subscriptions, event types and states, and checks them. Next: `run`.

use std::{
    any::{TypeId, type_name},
    fmt,
    future::Future,
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use kafkaesk_client::{
    Settings,
    broker::BoxFuture,
    schema::{Event, EventSchema},
};
use kafkaesk_core::{Pattern, RecordPlace};

use crate::{
    AppError, Control, HandlerError, Router, Watch, router,
    state::States,
    subscription::{IntoSubscription, Subscription},
    telemetry::Telemetry,
};

type StateMaker = Box<
    dyn FnOnce(
            Settings,
        ) -> BoxFuture<'static, Result<Box<dyn FnOnce(&mut States) + Send>, AppError>>
        + Send,
>;
pub(crate) type Hook = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>;

/// An application.
///
/// Registration itself never fails. [`App::check`] and [`App::run`] return its errors, before they contact anything.
#[derive(Default)]
pub struct App {
    name: Option<String>,
    pub(crate) router: Router,
    pub(crate) states: States,
    /// With the type that each makes.
    pub(crate) makers: Vec<(TypeId, StateMaker)>,
    pub(crate) hooks: Vec<Hook>,
    only: Option<Vec<String>>,
    pub(crate) skip: Vec<RecordPlace>,
    pub(crate) control: Control,
    pub(crate) telemetry: Option<Arc<dyn Telemetry>>,
    /// For tests: retries do not wait, and a message that would be held is tried this often.
    pub(crate) immediate: Option<NonZeroU32>,
    /// For the chaos suite: so often, a random number of instances is taken.
    pub(crate) shuffled: Option<Duration>,
}

impl App {
    /// An application whose groups default to their function's name.
    pub fn new() -> Self {
        Self::default()
    }

    /// An application whose groups default to `name.function`.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            ..Self::default()
        }
    }

    /// Adds a function under `#[subscribe]`, or a [`Subscription`].
    #[must_use]
    pub fn subscribe(self, subscription: impl IntoSubscription) -> Self {
        self.mount(Router::new().subscribe(subscription))
    }

    /// Declares an event type that this program publishes. It is registered at start (setting `auto-register`). The
    /// producer registers a type that handlers only consume: a consumer needs no right on schemas.
    #[must_use]
    pub fn event<T: Event>(self) -> Self {
        self.mount(Router::new().event::<T>())
    }

    /// Adds a module's subscriptions and event types.
    #[must_use]
    pub fn mount(mut self, mut router: Router) -> Self {
        for subscription in &mut router.subscriptions {
            if subscription.group.is_none() {
                subscription.group =
                    subscription
                        .function
                        .as_ref()
                        .map(|function| match &self.name {
                            Some(name) => format!("{name}.{function}"),
                            None => function.clone(),
                        });
            }
        }
        self.router = self.router.mount(router);
        self
    }

    /// A value for `State<T>` arguments, one of each type; a second replaces the first.
    #[must_use]
    pub fn state<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.states.insert(value);
        self
    }

    /// A value for `State<T>` arguments. It is made only when the worker starts: `schema push`, for example, needs no
    /// database.
    ///
    /// ```
    /// use kafkaesk_worker::prelude::*;
    ///
    /// struct Db;
    /// # async fn connect(_: &str) -> Result<Db, std::io::Error> { Ok(Db) }
    ///
    /// let app = App::new().state_with(|_settings| async { Ok(connect("db:5432").await?) });
    /// # drop(app);
    /// ```
    #[must_use]
    pub fn state_with<T, F, Fut>(mut self, make: F) -> Self
    where
        T: Send + Sync + 'static,
        F: FnOnce(Settings) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, HandlerError>> + Send + 'static,
    {
        let maker: StateMaker = Box::new(|settings| {
            Box::pin(async move {
                let value = make(settings).await.map_err(|e| AppError::State {
                    state: type_name::<T>().to_owned(),
                    message: e.to_string(),
                })?;
                let insert: Box<dyn FnOnce(&mut States) + Send> =
                    Box::new(move |states| states.insert(value));
                Ok(insert)
            })
        });
        self.makers.push((TypeId::of::<T>(), maker));
        self
    }

    /// Runs at the end of a run, after the worker has drained and left its groups. Several hooks run in the order of
    /// registration. They run after every run, even if it could not connect or make a state; only after [`Self::check`]
    /// refused the application do they not run. Hooks have the rest of `shutdown_timeout`, but at least a twentieth of
    /// it or a second, and are then cut off.
    #[must_use]
    pub fn on_shutdown<F, Fut>(mut self, hook: F) -> Self
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.hooks.push(Box::new(|| Box::pin(hook())));
        self
    }

    /// Runs only the subscriptions of these groups (as shown by [`Self::subscriptions`]).
    #[must_use]
    pub fn only<G: Into<String>>(mut self, groups: impl IntoIterator<Item = G>) -> Self {
        self.only = Some(groups.into_iter().map(Into::into).collect());
        self
    }

    /// Passes over a record that cannot be read or handled, in a running group. When the partition is first assigned,
    /// the record must be the next one that the group reads there. Then no handler gets it, and it counts as finished.
    /// Otherwise a warning says so.
    #[must_use]
    pub fn skip(mut self, record: RecordPlace) -> Self {
        self.skip.push(record);
        self
    }

    /// What it is subscribed to, in the order of registration.
    pub fn subscriptions(&self) -> &[Subscription] {
        &self.router.subscriptions
    }

    /// Every schema of the application: declared event types, then those that handlers take, each once.
    ///
    /// # Errors
    /// [`AppError::Document`] when a type's document is not a schema.
    pub fn schemas(&self) -> Result<Vec<EventSchema>, AppError> {
        let mut schemas: Vec<EventSchema> = Vec::new();
        let handled = self
            .router
            .subscriptions
            .iter()
            .flat_map(|s| s.needs().schemas);
        for schema in self.router.events.iter().cloned().chain(handled) {
            let schema = schema?;
            if !schemas.iter().any(|s| s.id == schema.id) {
                schemas.push(schema);
            }
        }
        Ok(schemas)
    }

    /// Checks everything that needs no Kafka: patterns, groups, bounds, overlaps, `only`, documents, and the states of
    /// handlers (in the groups that [`Self::only`] selects).
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), AppError> {
        self.check_with(&[])
    }

    /// The same, as if these subscriptions were added: their handlers may not be ready yet.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check_with(&self, added: &[Subscription]) -> Result<(), AppError> {
        self.schemas()?;
        let all = [self.subscriptions(), added].concat();
        router::check(&all)?;
        for group in self.only.iter().flatten() {
            if !all.iter().any(|s| s.group.as_ref() == Some(group)) {
                return Err(AppError::UnknownGroup {
                    group: group.clone(),
                    known: router::groups(&all),
                });
            }
        }
        for record in &self.skip {
            let reads = |s: &Subscription| {
                Pattern::new(s.pattern()).is_ok_and(|p| p.matches(record.stream.as_str()))
            };
            if !all.iter().any(|s| self.wants(s) && reads(s)) {
                return Err(AppError::SkipsNothing {
                    record: record.clone(),
                });
            }
        }
        for subscription in all.iter().filter(|s| self.wants(s)) {
            for (id, name) in subscription.needs().states {
                if !self.states.has(id) && !self.makers.iter().any(|(made, _)| *made == id) {
                    return Err(AppError::MissingState {
                        pattern: subscription.pattern.clone(),
                        state: name.to_owned(),
                    });
                }
            }
        }
        Ok(())
    }

    /// The subscriptions that [`Self::only`] leaves.
    pub(crate) fn chosen(&self) -> impl Iterator<Item = &Subscription> {
        self.router.subscriptions.iter().filter(|s| self.wants(s))
    }

    fn wants(&self, subscription: &Subscription) -> bool {
        let group = subscription.group.as_ref();
        self.only
            .as_ref()
            .is_none_or(|only| group.is_some_and(|group| only.contains(group)))
    }

    /// A handle for commands while the application runs.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// A handle that looks at the application while it runs, and changes nothing.
    pub fn watch(&self) -> Watch {
        Watch(self.control.0.clone())
    }

    /// Lets this see every attempt end.
    #[cfg(feature = "memory")]
    pub(crate) fn observed_by(mut self, telemetry: Arc<dyn Telemetry>) -> Self {
        self.telemetry = Some(telemetry);
        self
    }

    /// Takes a random number of instances of each subscription, from 1 to its `max-concurrency`, about so often. For the chaos
    /// suite.
    #[doc(hidden)]
    #[must_use]
    pub fn shuffle_instances(mut self, every: Duration) -> Self {
        self.shuffled = Some(every);
        self
    }

    /// Retries without waiting; a message that would be held is tried this often.
    #[cfg(feature = "memory")]
    pub(crate) fn immediate(mut self, held: NonZeroU32) -> Self {
        self.immediate = Some(held);
        self
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("name", &self.name)
            .field("router", &self.router)
            .field("only", &self.only)
            .finish_non_exhaustive()
    }
}
