//! A handler's errors: wraps any error and finds its class (retry, reject or unavailable), which survives other
//! wrappers.

use std::{error::Error, fmt, time::Duration};

type Boxed = Box<dyn Error + Send + Sync + 'static>;

/// The error of a handler. `?` makes it from any error, and then the message is retried.
///
/// It deliberately does not implement [`std::error::Error`], so that `?` can convert every error, as with
/// `anyhow::Error`.
pub struct HandlerError {
    source: Boxed,
    cause: Cause,
    /// A dependency has more work than it can do.
    overloaded: bool,
}

/// Where an error comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The handler returned it.
    Returned,
    /// The handler panicked.
    Panicked,
    /// The handler did not end within its timeout.
    TimedOut,
}

/// What an error means for its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Again, after the lane's backoff or after this long.
    Retry(Option<Duration>),
    /// Again, after the lane's backoff; the attempt does not count.
    Busy(String),
    /// Never again.
    Reject(String),
    /// No message is to blame: the whole subscription pauses.
    Unavailable(String),
}

impl HandlerError {
    /// An error that is retried, from text.
    pub fn msg(text: impl fmt::Display) -> Self {
        Self::from(text.to_string())
    }

    /// An error that rejects the message.
    pub fn reject(reason: impl fmt::Display) -> Self {
        Self::from(Classified::new(Class::Reject(reason.to_string()), None))
    }

    /// An error that retries the message after this long.
    pub fn retry_after(after: Duration) -> Self {
        Self::from(Classified::new(Class::Retry(Some(after)), None))
    }

    /// An error that no message caused: a dependency of the handler is unreachable or misconfigured, such as its
    /// database or its credentials. The whole subscription pauses and logs it once. It tries one message after a
    /// backoff (at most [`crate::retry::LONGEST`]), until an attempt ends otherwise. See
    /// [`crate::AttemptResult::Unavailable`].
    ///
    /// ```
    /// use kafkaesk_worker::prelude::*;
    ///
    /// async fn index(_: Json) -> Result<(), HandlerError> {
    ///     std::net::TcpStream::connect("127.0.0.1:1").or_unavailable("the index cannot be reached")?;
    ///     Ok(())
    /// }
    /// ```
    pub fn unavailable(reason: impl fmt::Display) -> Self {
        Self::from(Classified::new(
            Class::Unavailable(reason.to_string()),
            None,
        ))
    }

    /// An error that retries the message after the lane's backoff without counting the attempt: a dependency of the
    /// handler accepts no more work for now, such as an HTTP service that answers 429. If it asks for a delay, use
    /// [`Self::retry_after`], which does not count either.
    pub fn busy(reason: impl fmt::Display) -> Self {
        Self::from(Classified::new(Class::Busy(reason.to_string()), None))
    }

    /// Says that a dependency of the handler has more work than it can do, such as an HTTP service that answers 503: with
    /// [`Concurrency::Between`](crate::Concurrency::Between) fewer handlers run then. What happens to the message does not
    /// change. [`Self::busy`] and a timeout say so by themselves.
    #[must_use]
    pub fn overloaded(mut self) -> Self {
        self.overloaded = true;
        self
    }

    /// Whether fewer handlers should run.
    pub(crate) fn is_overloaded(&self) -> bool {
        self.overloaded || self.cause == Cause::TimedOut || matches!(self.class(), Class::Busy(_))
    }

    pub(crate) fn panicked(payload: &(dyn std::any::Any + Send)) -> Self {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without a text".to_owned());
        Self {
            source: text.into(),
            cause: Cause::Panicked,
            overloaded: false,
        }
    }

    pub(crate) fn timed_out(timeout: Duration) -> Self {
        let text = format!("the handler did not end within its timeout of {timeout:?}");
        Self {
            source: text.into(),
            cause: Cause::TimedOut,
            overloaded: false,
        }
    }

    pub(crate) fn cause(&self) -> Cause {
        self.cause
    }

    /// The outermost class in the chain of sources; retry if there is none.
    pub(crate) fn class(&self) -> Class {
        let mut next: Option<&(dyn Error + 'static)> = Some(&*self.source);
        while let Some(error) = next {
            if let Some(classified) = error.downcast_ref::<Classified>() {
                return classified.mark.class.clone();
            }
            if let Some(mark) = error.downcast_ref::<Mark>() {
                return mark.class.clone();
            }
            next = error.source();
        }
        Class::Retry(None)
    }

    /// The error and its sources, outermost first, without what only marks the class.
    pub(crate) fn chain(&self) -> String {
        let mut text = String::new();
        if self.cause == Cause::Panicked {
            text.push_str("the handler panicked: ");
        }
        text.push_str(&self.source.to_string());
        let mut next = self.source.source();
        while let Some(error) = next {
            if !error.is::<Mark>() {
                text.push_str(": ");
                text.push_str(&error.to_string());
            }
            next = error.source();
        }
        text
    }
}

impl<E: Into<Boxed>> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self {
            source: error.into(),
            cause: Cause::Returned,
            overloaded: false,
        }
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.chain())
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.chain())
    }
}

/// An error with a class, made by [`Classify`].
///
/// Its class is repeated as the next source in the chain: a boxed wrapper such as `anyhow::Error` hides the type of its
/// outermost error, but not the chain.
#[derive(Debug)]
pub struct Classified {
    text: String,
    mark: Mark,
}

#[derive(Debug)]
struct Mark {
    class: Class,
    source: Option<Boxed>,
}

impl Classified {
    fn new(class: Class, source: Option<Boxed>) -> Self {
        let text = match &class {
            Class::Reject(reason) | Class::Unavailable(reason) | Class::Busy(reason) => {
                reason.clone()
            }
            Class::Retry(Some(after)) => format!("to be retried after {after:?}"),
            Class::Retry(None) => "to be retried".to_owned(),
        };
        Self {
            text,
            mark: Mark { class, source },
        }
    }
}

impl fmt::Display for Classified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Classified {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.mark)
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.class {
            Class::Reject(_) => "rejected",
            Class::Retry(_) | Class::Busy(_) => "retried",
            Class::Unavailable(_) => "unavailable",
        })
    }
}

impl Error for Mark {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_ref()
            .map(|source| &**source as &(dyn Error + 'static))
    }
}

/// Gives the error of a `Result` or the `None` of an `Option` a meaning for the message.
///
/// ```
/// use kafkaesk_worker::prelude::*;
/// use std::time::Duration;
///
/// async fn handler(_: Raw) -> Result<(), HandlerError> {
///     let customer: u32 = "7".parse().or_reject("unknown customer")?;
///     let found = Some(customer).or_retry_after(Duration::from_secs(30))?;
///     assert_eq!(found, 7);
///     Ok(())
/// }
/// ```
pub trait Classify<T>: Sized {
    /// The message is rejected for this reason.
    ///
    /// # Errors
    /// The same failure, classified.
    fn or_reject(self, reason: impl Into<String>) -> Result<T, Classified>;

    /// The message is retried after this long (at most [`kafkaesk_core::answer::MAX_DELAY`], one hour).
    ///
    /// # Errors
    /// The same failure, classified.
    fn or_retry_after(self, after: Duration) -> Result<T, Classified>;

    /// No message is to blame: the whole subscription pauses; see [`HandlerError::unavailable`].
    ///
    /// # Errors
    /// The same failure, classified.
    fn or_unavailable(self, reason: impl Into<String>) -> Result<T, Classified>;
}

impl<T, E: Into<Boxed>> Classify<T> for Result<T, E> {
    fn or_reject(self, reason: impl Into<String>) -> Result<T, Classified> {
        self.map_err(|e| Classified::new(Class::Reject(reason.into()), Some(e.into())))
    }

    fn or_retry_after(self, after: Duration) -> Result<T, Classified> {
        self.map_err(|e| Classified::new(Class::Retry(Some(after)), Some(e.into())))
    }

    fn or_unavailable(self, reason: impl Into<String>) -> Result<T, Classified> {
        self.map_err(|e| Classified::new(Class::Unavailable(reason.into()), Some(e.into())))
    }
}

impl<T> Classify<T> for Option<T> {
    fn or_reject(self, reason: impl Into<String>) -> Result<T, Classified> {
        self.ok_or_else(|| Classified::new(Class::Reject(reason.into()), None))
    }

    fn or_retry_after(self, after: Duration) -> Result<T, Classified> {
        self.ok_or_else(|| Classified::new(Class::Retry(Some(after)), None))
    }

    fn or_unavailable(self, reason: impl Into<String>) -> Result<T, Classified> {
        self.ok_or_else(|| Classified::new(Class::Unavailable(reason.into()), None))
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    fn class_of(error: impl Into<HandlerError>) -> Class {
        error.into().class()
    }

    fn parse() -> Result<i32, std::num::ParseIntError> {
        "x".parse::<i32>()
    }

    #[test]
    fn any_error_is_retried() {
        assert_eq!(class_of(parse().unwrap_err()), Class::Retry(None));
        assert_eq!(class_of("text"), Class::Retry(None));
        assert_eq!(class_of(anyhow::anyhow!("text")), Class::Retry(None));
    }

    #[test]
    fn a_class_survives_anyhow_with_and_without_context() {
        let reject = || parse().or_reject("bad number");
        let wanted = Class::Reject("bad number".into());
        assert_eq!(class_of(reject().unwrap_err()), wanted);
        assert_eq!(class_of(anyhow::Error::from(reject().unwrap_err())), wanted);
        assert_eq!(
            class_of(reject().context("while reading").unwrap_err()),
            wanted
        );
        let twice = reject().context("inner").context("outer").unwrap_err();
        assert_eq!(class_of(twice), wanted);
        let late = parse().or_retry_after(Duration::from_secs(30));
        assert_eq!(
            class_of(late.context("x").unwrap_err()),
            Class::Retry(Some(Duration::from_secs(30)))
        );
        let away = parse().or_unavailable("no database");
        assert_eq!(
            class_of(away.context("x").unwrap_err()),
            Class::Unavailable("no database".into())
        );
    }

    #[test]
    fn the_outermost_class_wins() {
        let inner = parse().or_retry_after(Duration::from_secs(1));
        assert_eq!(
            class_of(inner.or_reject("no").unwrap_err()),
            Class::Reject("no".into())
        );
    }

    #[test]
    fn the_chain_is_told_without_marks() {
        let error = HandlerError::from(
            parse()
                .or_reject("bad number")
                .context("while reading")
                .unwrap_err(),
        );
        assert_eq!(
            error.to_string(),
            "while reading: bad number: invalid digit found in string"
        );
    }

    #[test]
    fn an_empty_option_can_be_classified() {
        assert_eq!(
            class_of(None::<u8>.or_reject("nobody").unwrap_err()),
            Class::Reject("nobody".into())
        );
    }
}
