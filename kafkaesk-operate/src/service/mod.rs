//! Service: answers over HTTP. `connections` accepts them, `guard` refuses what is not meant for us, `routes` answers.

mod commands;
mod connections;
pub(crate) mod guard;
mod routes;

use std::sync::Arc;

use axum::body::Bytes;
use kafkaesk_client::settings::OperateSettings;
use kafkaesk_worker::Control;
use tokio::sync::{Notify, Semaphore};

pub(crate) use self::{
    connections::{bind, serve},
    routes::router,
};
use crate::{
    metrics::{Format, Metrics},
    observer::Observer,
    view::View,
};

/// Requests that are answered at a time. Further ones are refused.
const REQUESTS: usize = 16;

/// An exposition, and the view that it was made of.
type Rendered = (Arc<View>, Bytes);

/// What the answers are made of.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) settings: OperateSettings,
    pub(crate) observer: Arc<Observer>,
    control: Control,
    metrics: Metrics,
    requests: Semaphore,
    /// The last exposition in each form, shared by all who ask for the same view.
    rendered: tokio::sync::Mutex<[Option<Rendered>; 2]>,
    /// Signals each exposition that was answered.
    pub(crate) scraped: Notify,
}

impl Service {
    pub(crate) fn new(
        settings: OperateSettings,
        observer: Arc<Observer>,
        control: Control,
    ) -> Self {
        Self {
            metrics: Metrics::new(&settings),
            settings,
            observer,
            control,
            requests: Semaphore::new(REQUESTS),
            rendered: tokio::sync::Mutex::default(),
            scraped: Notify::new(),
        }
    }

    /// All metrics as text.
    pub(crate) async fn exposition(&self, format: Format) -> Bytes {
        let mut rendered = self.rendered.lock().await;
        let view = self.observer.view().await;
        let slot = &mut rendered[format as usize];
        match slot {
            Some((of, text)) if Arc::ptr_eq(of, &view) => text.clone(),
            _ => {
                let (metrics, of) = (self.metrics.clone(), view.clone());
                let text = tokio::task::spawn_blocking(move || metrics.text(of, format)).await;
                let text = Bytes::from(text.unwrap_or_default());
                *slot = Some((view, text.clone()));
                text
            }
        }
    }
}
