//! The application: subscriptions, event types and state in, a worker that runs until a shutdown future resolves out.

use std::{any::type_name, fmt, future::Future, sync::Arc};

use kafkaesk_client::{
    Connection, Settings,
    broker::BoxFuture,
    schema::{Event, EventSchema},
};

use crate::{
    AppError, HandlerError, Router, RunReport, router,
    state::States,
    subscription::{IntoSubscription, Subscription},
    watch::Observer,
    worker,
};

type StateMaker = Box<
    dyn FnOnce(
            Settings,
        ) -> BoxFuture<'static, Result<Box<dyn FnOnce(&mut States) + Send>, AppError>>
        + Send,
>;
type Hook = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>;

/// An application.
///
/// Registration never fails on the spot; what is wrong with it is the error of [`App::check`] and of running it,
/// before anything is contacted.
#[derive(Default)]
pub struct App {
    name: Option<String>,
    router: Router,
    states: States,
    makers: Vec<StateMaker>,
    hooks: Vec<Hook>,
    only: Option<Vec<String>>,
    observer: Option<Arc<dyn Observer>>,
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

    /// Declares an event type that this program publishes: registered at start (setting `auto-register`).
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

    /// A value for `State<T>` arguments, made when the worker starts (and only then: pushing schemas needs no database).
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
        self.makers.push(Box::new(|settings| {
            Box::pin(async move {
                let value = make(settings).await.map_err(|e| AppError::State {
                    state: type_name::<T>().to_owned(),
                    message: e.to_string(),
                })?;
                let insert: Box<dyn FnOnce(&mut States) + Send> =
                    Box::new(move |states| states.insert(value));
                Ok(insert)
            })
        }));
        self
    }

    /// Runs after the worker has drained and left its groups; several in the order of registration.
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

    /// What it is subscribed to, in the order of registration.
    pub fn subscriptions(&self) -> &[Subscription] {
        &self.router.subscriptions
    }

    /// Every schema of its own: declared event types, and those that handlers take; each once, in that order.
    ///
    /// # Errors
    /// [`AppError::Document`] when a type's document is no schema.
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

    /// Checks everything that can be checked without Kafka: patterns, groups, bounds, overlaps, `only`, documents.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), AppError> {
        self.schemas()?;
        router::check(&self.router.subscriptions)?;
        for group in self.only.iter().flatten() {
            if !self
                .router
                .subscriptions
                .iter()
                .any(|s| s.group.as_ref() == Some(group))
            {
                return Err(AppError::UnknownGroup {
                    group: group.clone(),
                    known: router::groups(&self.router.subscriptions),
                });
            }
        }
        Ok(())
    }

    /// Connects and runs until `shutdown` resolves, then drains, commits and leaves its groups.
    ///
    /// # Errors
    /// [`AppError`]: what is wrong with the application, Kafka's refusal, or an abort.
    pub async fn run(
        self,
        settings: &Settings,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<RunReport, AppError> {
        self.check()?;
        let connection = Connection::open(settings).await?;
        self.run_on(connection, shutdown).await
    }

    /// Runs over a connection that is there already.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn run_on(
        self,
        connection: Connection,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<RunReport, AppError> {
        self.check()?;
        let subscriptions: Vec<_> = self.chosen().cloned().collect();
        if subscriptions.is_empty() {
            return Err(AppError::NothingToRun);
        }
        let mut states = self.states;
        for make in self.makers {
            make(connection.settings().clone()).await?(&mut states);
        }
        for subscription in &subscriptions {
            for (id, name) in subscription.needs().states {
                if !states.has(id) {
                    return Err(AppError::MissingState {
                        pattern: subscription.pattern.clone(),
                        state: name.to_owned(),
                    });
                }
            }
        }
        let events = self
            .router
            .events
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?;
        if !events.is_empty() {
            connection.catalog().register(&events).await?;
        }
        let worker = worker::Worker::new(connection, Arc::new(states), self.observer);
        let ran = worker.run(subscriptions, shutdown).await;
        for hook in self.hooks {
            hook().await;
        }
        ran
    }

    /// The subscriptions that [`Self::only`] leaves.
    pub(crate) fn chosen(&self) -> impl Iterator<Item = &Subscription> {
        self.router.subscriptions.iter().filter(|s| {
            let only = self.only.as_ref();
            only.is_none_or(|only| s.group.as_ref().is_some_and(|group| only.contains(group)))
        })
    }

    pub(crate) fn observed(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
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
