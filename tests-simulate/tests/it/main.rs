//! The simulation's laws hold for the worker's controllers, and each of them notices a controller that breaks it.

mod holds;
mod mutations;
mod services;
