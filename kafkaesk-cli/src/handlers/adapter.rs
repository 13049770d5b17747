//! A configured handler as the worker's [`Handle`]. The one place where a [`Reply`] becomes an outcome.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use kafkaesk_core::{Headers, answer::Answer, line};
use kafkaesk_worker::{
    AttemptResult, BatchOutcome, Classify, Delivery, Handle, HandlerCall, HandlerError,
    IntoAttemptResult, Outcome, Rejection,
};
use tokio::{sync::oneshot, time::Instant};
use tracing::{info, warn};

use super::{
    Reply,
    exec::Exec,
    http::{BatchReply, Http, Lines, nobody_listens},
    stdout::Stdout,
};
use crate::configuration::HandlerSettings;

/// A started handler. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) enum Configured {
    /// One POST for each message, or for each batch.
    Http(Arc<Http>),
    /// Under `dev`: one POST, or a printed line if the endpoint is unreachable or on another machine.
    DevHttp(Arc<Http>, Stdout),
    /// One line to a child process for each message.
    Exec(Arc<Exec>),
    /// One line of standard output for each message.
    Stdout {
        stdout: Stdout,
        /// Whether the line says the group and the attempt.
        group: bool,
    },
}

impl Configured {
    /// Starts what the configuration says. All `stdout` handlers share one writer.
    ///
    /// # Errors
    /// A program that cannot be started, unusable certificates of the system.
    pub(crate) fn start(settings: &HandlerSettings, stdout: &Stdout) -> anyhow::Result<Self> {
        Ok(match settings {
            HandlerSettings::Http(settings) => Self::Http(Arc::new(Http::new(settings.clone())?)),
            HandlerSettings::Exec(settings) => Self::Exec(Arc::new(Exec::start(settings.clone())?)),
            HandlerSettings::Stdout { group } => Self::Stdout {
                stdout: stdout.clone(),
                group: *group,
            },
        })
    }

    /// As [`Self::start`], for `dev`: contacts nothing but this machine.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub(crate) fn start_dev(settings: &HandlerSettings, stdout: &Stdout) -> anyhow::Result<Self> {
        Ok(match Self::start(settings, stdout)? {
            Self::Http(http) => Self::DevHttp(http, stdout.clone()),
            other => other,
        })
    }

    /// The note about this handler that `dev` prints at start, if any.
    pub(crate) async fn dev_note(&self) -> Option<String> {
        match self {
            Self::DevHttp(http, _) => http.settings().dev_note().await,
            _ => None,
        }
    }

    /// Whether it stopped the worker because the reader of standard output has closed it.
    pub(crate) fn is_output_closed(&self) -> bool {
        match self {
            Self::Stdout { stdout, .. } | Self::DevHttp(_, stdout) => stdout.is_closed(),
            _ => false,
        }
    }

    /// Ends its child processes, if it has any.
    pub(crate) async fn shutdown(&self, deadline: Instant) {
        if let Self::Exec(exec) = self {
            exec.shutdown(deadline).await;
        }
    }
}

impl Handle for Configured {
    fn handle(&self, delivery: &Delivery) -> HandlerCall {
        let delivery = delivery.clone();
        match self {
            Self::Http(http) => {
                let http = http.clone();
                HandlerCall::run(async move {
                    post(&http, &delivery)
                        .await
                        .unwrap_or_else(|error| ending(http.broken(&error)))
                })
            }
            Self::DevHttp(http, stdout) => {
                let (http, stdout) = (http.clone(), stdout.clone());
                HandlerCall::run(async move {
                    if http.settings().loopback_host().is_some() {
                        match post(&http, &delivery).await {
                            Ok(ending) => return ending,
                            Err(error) if !nobody_listens(&error) => {
                                return ending(http.broken(&error));
                            }
                            Err(_) => {}
                        }
                    }
                    info!("answered 204 for {}", http.settings().shown);
                    let mut ended = ending(Reply::DONE);
                    for message in messages(&delivery) {
                        ended = ending(stdout.handle(write_line(message, None)).await);
                        if !matches!(ended, AttemptResult::Outcome(Outcome::Done)) {
                            break;
                        }
                    }
                    ended
                })
            }
            Self::Exec(exec) => {
                let exec = exec.clone();
                let Some(committer) = delivery.committer() else {
                    return HandlerCall::run(async move { ask(&exec, &delivery, None).await });
                };
                HandlerCall::run(async move {
                    let (begun, has_begun) = oneshot::channel();
                    tokio::spawn(async move {
                        match ask(&exec, &delivery, Some(begun)).await {
                            AttemptResult::Outcome(Outcome::Done) => drop(committer.done()),
                            ended => committer.end(ended),
                        }
                    });
                    // Without a child its answer says so.
                    drop(has_begun.await);
                })
            }
            Self::Stdout { stdout, group } => {
                let (stdout, on_top) = (stdout.clone(), group.then_some(None));
                HandlerCall::run(async move {
                    ending(stdout.handle(write_line(&delivery, on_top)).await)
                })
            }
        }
    }
}

/// One line to a child, and its answer.
async fn ask(
    exec: &Exec,
    delivery: &Delivery,
    begun: Option<oneshot::Sender<()>>,
) -> AttemptResult {
    let id = exec.delivery();
    let line = write_line(delivery, Some(Some(&id)));
    let record = delivery.record();
    let message = format!("{}@{}", record.source, record.offset);
    ending(exec.handle(id, &message, line, begun).await)
}

/// The messages of a batch, or the one that comes alone.
fn messages(delivery: &Delivery) -> &[Delivery] {
    delivery.batch().unwrap_or(std::slice::from_ref(delivery))
}

/// One request for all messages of a batch.
async fn post_batch(http: &Http, delivery: &Delivery) -> Result<AttemptResult, reqwest::Error> {
    let messages = messages(delivery);
    let unfit = messages.iter().enumerate().filter_map(|(at, message)| {
        let why = message.data().err()?;
        Some((at, why))
    });
    let unfit: Vec<_> = unfit.collect();
    if !unfit.is_empty() {
        return Ok(Rejection::Messages(unfit).into());
    }
    let bytes = messages.iter().map(|it| it.record().size() + 256).sum();
    let mut body = Vec::with_capacity(bytes);
    for message in messages {
        let on_top = line::Delivery {
            group: message.group(),
            attempt: message.attempt(),
            delivery: None,
        };
        line::write(&mut body, message.record(), Some(on_top));
        body.push(b'\n');
    }
    // The messages' own traces stand in their lines.
    let trace = match delivery.is_traced() {
        true => delivery.trace(),
        false => Headers::new(),
    };
    let lines = Lines {
        stream: delivery.record().stream(),
        partition: delivery.record().partition(),
        group: delivery.group(),
        trace: &trace,
        messages: messages.len(),
        body: body.into(),
    };
    Ok(match http.handle_batch(lines).await? {
        BatchReply::Whole(reply) => ending(reply),
        BatchReply::Each(each) => {
            let each = each.into_iter().map(ending);
            each.collect::<BatchOutcome>().into_attempt_result()
        }
    })
}

async fn post(http: &Http, delivery: &Delivery) -> Result<AttemptResult, reqwest::Error> {
    if http.settings().batches {
        return post_batch(http, delivery).await;
    }
    let (schema, data) = match (delivery.schema(), delivery.data()) {
        (Ok(schema), Ok(data)) => (schema, data),
        (Err(rejection), _) | (_, Err(rejection)) => return Ok(AttemptResult::from(rejection)),
    };
    // Shares the record's bytes.
    let body = match &delivery.record().value {
        Some(value) => value.slice_ref(data),
        None => Bytes::new(),
    };
    let answer = http
        .handle(
            delivery.record(),
            &delivery.trace(),
            schema,
            body,
            delivery.group(),
            delivery.attempt(),
        )
        .await?;
    Ok(ending(answer))
}

/// The JSON line of a delivery; a record that holds no event is shown as such. `on_top`: with the group and the attempt,
/// and the delivery's id if it has one.
fn write_line(delivery: &Delivery, on_top: Option<Option<&str>>) -> Vec<u8> {
    let mut line = Vec::with_capacity(delivery.record().value().len() + 256);
    let on_top = on_top.map(|id| line::Delivery {
        group: delivery.group(),
        attempt: delivery.attempt(),
        delivery: id,
    });
    match delivery.is_traced() && on_top.is_some_and(|it| it.delivery.is_some()) {
        // What answers takes part in the trace; what is only printed is the record as it is.
        true => {
            let mut record = delivery.record().clone();
            record.headers = record.headers.with_trace(&delivery.trace());
            line::write(&mut line, &record, on_top);
        }
        false => line::write(&mut line, delivery.record(), on_top),
    }
    line
}

fn ending(reply: Reply) -> AttemptResult {
    let answer = match reply {
        Reply::Answered(answer) => answer,
        Reply::Busy(reason) => return AttemptResult::Failed(HandlerError::busy(reason)),
        Reply::Overloaded { delay, reason } => {
            return AttemptResult::Failed(retry(delay, reason).overloaded());
        }
        Reply::Unavailable(reason) => {
            return AttemptResult::Unavailable(HandlerError::msg(reason));
        }
    };
    match answer {
        Answer::Done => Outcome::Done.into_attempt_result(),
        Answer::Skip => Outcome::Skip.into_attempt_result(),
        Answer::Reject { reason } => {
            Outcome::reject(reason.unwrap_or_default()).into_attempt_result()
        }
        Answer::Abort { reason } => {
            if let Some(reason) = reason {
                warn!("the handler stops the worker: {reason}");
            }
            Outcome::Abort.into_attempt_result()
        }
        Answer::Retry { delay, reason } => {
            AttemptResult::Failed(retry(delay, reason.unwrap_or_default()))
        }
    }
}

fn retry(after: Option<Duration>, reason: String) -> HandlerError {
    match after {
        None => HandlerError::msg(reason),
        Some(after) => Err::<(), String>(reason)
            .or_retry_after(after)
            .err()
            .map_or_else(|| HandlerError::retry_after(after), HandlerError::from),
    }
}
