//! `TestApp`: an application over an in-memory broker, for its own tests. `results` collects what handlers answered,
//! `handled` is what a test asks of them.

mod handled;
mod results;
mod test_app;

pub use handled::{GivenUp, Handled, HandledMessage, Published, TestError};
pub use test_app::TestApp;
