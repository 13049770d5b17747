//! Client: posts to the collector, and keeps why that failed last, which the exporter does not say.

use std::{error::Error, iter::successors, pin::Pin, sync::Arc};

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use parking_lot::Mutex;

/// Why the last request had no answer.
pub(super) type Trouble = Arc<Mutex<Option<String>>>;

/// An HTTP client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) inner: reqwest::Client,
    pub(super) trouble: Trouble,
}

/// What the trait's `async fn` returns.
type Answer<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for Client {
    fn send_bytes<'own, 'answer>(&'own self, request: Request<Bytes>) -> Answer<'answer>
    where
        'own: 'answer,
        Self: 'answer,
    {
        Box::pin(async move {
            let answer = self.inner.send_bytes(request).await;
            let why = answer.as_ref().err().map(|error| cause(&**error));
            *self.trouble.lock() = why;
            answer
        })
    }
}

/// The first cause: what is around it names the whole URL, which may hold a secret.
fn cause(error: &(dyn Error + 'static)) -> String {
    if error.downcast_ref().is_some_and(reqwest::Error::is_timeout) {
        return "no answer in time".to_owned();
    }
    let first = successors(Some(error), |&error| error.source()).last();
    match first {
        Some(first) if first.downcast_ref::<reqwest::Error>().is_none() => first.to_string(),
        _ => "the request could not be made".to_owned(),
    }
}
