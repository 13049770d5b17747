//! Handlers: turns async functions ([`HandlerFn`]) into objects that can be run ([`Handle`]).

use std::{fmt, future::Future, marker::PhantomData};

use crate::{
    delivery::Delivery,
    extract::FromDelivery,
    handle::Handle,
    needs::Needs,
    outcome::{AttemptResult, HandlerCall, IntoAttemptResult},
};

/// An async function whose arguments are extractors, up to eight in any order.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler",
    label = "not a handler",
    note = "a handler is an `async fn` with up to 8 arguments, each an event type or `Json` (or an `Option` of it), or one of `Raw`, `Schema`, `Record`, a `Batch` of one of these, `State<T>`, `Publisher`, `Attempt`, `Committer`",
    note = "it returns `()`, `Outcome`, `BatchOutcome`, or `Result<_, HandlerError>`; `#[subscribe(…)]` on the function names each argument that does not fit",
    note = "see https://docs.rs/kafkaesk-worker/latest/kafkaesk_worker/docs/handlers/"
)]
pub trait HandlerFn<Arguments>: Send + Sync + 'static {
    /// Extracts the arguments and calls the function.
    fn call(&self, delivery: &Delivery) -> HandlerCall;

    /// See [`Handle::needs`].
    fn needs(needs: &mut Needs);
}

macro_rules! functions {
    ($($argument:ident),*) => {
        impl<F, Fut, $($argument),*> HandlerFn<($($argument,)*)> for F
        where
            F: Fn($($argument),*) -> Fut + Send + Sync + 'static,
            Fut: Future + Send + 'static,
            Fut::Output: IntoAttemptResult,
            $($argument: FromDelivery,)*
        {
            #[allow(non_snake_case, unused_variables)]
            fn call(&self, delivery: &Delivery) -> HandlerCall {
                $(
                    let $argument = match $argument::from_delivery(delivery) {
                        Ok(value) => value,
                        Err(rejection) => return HandlerCall::Ended(AttemptResult::from(rejection)),
                    };
                )*
                HandlerCall::run(self($($argument),*))
            }

            #[allow(unused_variables)]
            fn needs(needs: &mut Needs) {
                $($argument::needs(needs);)*
            }
        }
    };
}

functions!();
functions!(A1);
functions!(A1, A2);
functions!(A1, A2, A3);
functions!(A1, A2, A3, A4);
functions!(A1, A2, A3, A4, A5);
functions!(A1, A2, A3, A4, A5, A6);
functions!(A1, A2, A3, A4, A5, A6, A7);
functions!(A1, A2, A3, A4, A5, A6, A7, A8);

/// A [`HandlerFn`] as a [`Handle`].
pub(crate) struct Function<F, Arguments> {
    function: F,
    arguments: PhantomData<fn(Arguments)>,
}

impl<F, Arguments> Function<F, Arguments> {
    pub(crate) fn new(function: F) -> Self {
        Self {
            function,
            arguments: PhantomData,
        }
    }
}

impl<F, Arguments> fmt::Debug for Function<F, Arguments> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::any::type_name::<F>())
    }
}

impl<F: HandlerFn<Arguments>, Arguments: 'static> Handle for Function<F, Arguments> {
    fn handle(&self, delivery: &Delivery) -> HandlerCall {
        self.function.call(delivery)
    }

    fn needs(&self, needs: &mut Needs) {
        needs.by_arguments = true;
        F::needs(needs);
    }
}

/// The last segment of a function's path without generics; `None` for a closure.
pub(crate) fn function_name<F>() -> Option<&'static str> {
    let name = std::any::type_name::<F>();
    let name = name.split('<').next().unwrap_or(name);
    let last = name.rsplit("::").next().unwrap_or(name);
    (!last.contains('{') && !last.is_empty()).then_some(last)
}
